"""Payments: money is held, taken and given back through a provider, exactly once each."""
