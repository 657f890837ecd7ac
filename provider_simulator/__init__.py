"""A stand-in for a payment provider: its own process, its own durable books, spoken to over HTTP."""
