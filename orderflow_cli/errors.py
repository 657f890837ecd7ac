"""How a command fails: one line, and a status that is not zero."""

import sys
from typing import IO, Any

import click


class CommandError(click.ClickException):
    """The command cannot do what was asked; the text is the one line that is printed. Exit status 1."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the line."""
        click.echo(f"orderflow: {self.format_message()}", file=file or sys.stderr)
