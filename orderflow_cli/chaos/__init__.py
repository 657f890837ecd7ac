"""`orderflow chaos`: orders through every fault that we know how to make, and then the count."""

from orderflow_cli.chaos.verb import command

__all__ = ["command"]
