"""What can go wrong with a stack, in one line that a reader can act on."""

from orderflow_cli.errors import CommandError


class StackError(CommandError):
    """The stack cannot do what was asked; the text says why and, where there is one, the way out."""
