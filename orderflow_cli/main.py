"""The console script `orderflow`: verbs, each in a file of its own and loaded only when it is used."""

import importlib
import os
from typing import Any

import click

from orderflow_cli.errors import CommandError
from orderflow_cli.options import data_before_verb

VERBS = {
    "up": "start the whole local stack",
    "down": "end it",
    "stop": "end some of its processes; they stay ended",
    "start": "start what was stopped",
    "restart": "replace some of its processes, one after another",
    "scale": "run more or fewer of a process",
    "status": "show every process, server, queue and outbox",
    "logs": "show a process's log",
    "demo": "run a few hundred orders through trouble and check that nothing was lost",
    "chaos": "run orders while every part of it is broken in turn, and check that nothing was lost",
    "bench": "measure what an order costs and how fast it goes, beside others",
    "order": "tell the story of one order over all services",
    "check": "check the invariants over stock, money and messages",
    "token": "make a development access token",
    "dead-letters": "list, show, replay or discard what could not be handled",
    "migrate": "bring the four databases to the newest schema",
    "doctor": "see what is missing on this machine, and how to get it",
    "test": "run the whole test suite on its own servers",
}


class Verbs(click.Group):
    """Finds a verb's command in `orderflow_cli.<verb>` (attribute `command`) when it is called for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the verbs in the order in which a newcomer meets them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the verb; None if there is none of that name."""
        if cmd_name not in VERBS:
            return None
        try:
            module = importlib.import_module(f"orderflow_cli.{cmd_name.replace('-', '_')}")
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "local_stack":
                raise
            raise CommandError(f"`{cmd_name}` acts on a local stack: run it from a checkout") from error
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the verbs without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run; a wrong verb, flag or value is one line on standard error and status 2."""
        try:
            return super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.UsageError as error:
            click.echo(f"orderflow: {_one_line(error)}", err=True)
            raise SystemExit(2) from error
        except click.ClickException as error:
            error.show()
            raise SystemExit(error.exit_code) from error
        except (click.Abort, KeyboardInterrupt) as error:
            raise SystemExit(130) from error
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whoever read us has gone: not our failure
            raise SystemExit(0) from None


def _one_line(error: click.UsageError) -> str:
    hint = f" (see `{error.ctx.command_path} --help`)" if error.ctx else ""
    return " ".join(error.format_message().split()).rstrip(".") + hint


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="orderflow", prog_name="orderflow")
@data_before_verb
def main() -> None:
    """Orderflow: an order back end that loses nothing and doubles nothing."""
