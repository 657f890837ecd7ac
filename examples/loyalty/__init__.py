"""Loyalty, a fifth service: it counts a point for every whole unit of money in a completed order."""
