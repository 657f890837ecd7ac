"""Orders: takes orders and carries each to its end by the checkout saga."""
