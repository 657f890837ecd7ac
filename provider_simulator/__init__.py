"""A stand-in for a payment provider: its own process, its own books (they outlive its process), spoken to over HTTP."""
