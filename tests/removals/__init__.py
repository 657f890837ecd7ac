"""Trials that take safety mechanisms out: `python -m tests.removals`."""
