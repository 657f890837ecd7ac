"""Inventory: the catalogue, the stock and its ledger, and what is set aside for orders."""
