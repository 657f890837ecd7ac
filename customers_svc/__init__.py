"""Customers: who they are, where they live, and whether they may order."""
