"""`orderflow up`: start the whole local stack, or resize the one that runs."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import click

from orderflow_cli.options import data_option, json_option


class Sizes(click.ParamType[dict[str, int]]):
    """`NAME=N`: how many processes of a kind."""

    name = "NAME=N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, int]:
        """Read one `NAME=N`; the names are the stack's to judge."""
        base, equals, count = str(value).partition("=")
        if not equals or not count.isdigit():
            self.fail(f"{value!r} is not of the form NAME=N", param, ctx)
        from local_stack import blueprint
        from local_stack.errors import StackError

        try:
            blueprint.check_scale({base: int(count)})
        except StackError as error:
            self.fail(error.format_message(), param, ctx)
        return {base: int(count)}


@click.command()
@click.option("--detach", is_flag=True, help="Leave it running and return once it is ready.")
@click.option("--port", type=click.IntRange(0, 65535), help="The gateway's port; 0 takes a free one.  [8080]")
@click.option("--scale", type=Sizes(), multiple=True, help="Run N of a process, such as orders-worker=2.")
@click.option("--concurrency", type=click.IntRange(1, 256), help="Pool processes of each worker.  [1]")
@click.option("--no-seed", is_flag=True, help="Start without the example products and customers.")
@json_option
@data_option
def command(
    detach: bool,
    port: int | None,
    scale: tuple[dict[str, int], ...],
    concurrency: int | None,
    no_seed: bool,
    as_json: bool,
    data: Path,
) -> None:
    """Start the whole local stack: servers, migrations, seed, all services, Flower and the gateway.

    A second `up` finds the first and applies its --scale and --concurrency. Ctrl-C ends a stack that was
    started without --detach.
    """
    from local_stack import client
    from local_stack.paste import block

    sizes = {base: count for each in scale for base, count in each.items()}
    say = _say_nothing if as_json else _say
    if client.running(data):
        if port is not None and port not in {0, client.gateway_port(data)}:
            say(f"a stack runs here already, on port {client.gateway_port(data)}")
        client.resize(data, sizes, concurrency, say)
        child = None
    else:
        options = client.StartOptions(port, sizes, concurrency, seeded=not no_seed, attached=not detach)
        child = client.start(data, options)
        _interruptible(lambda: client.watch_start(data, child, say), data)
    facts = block(data)
    click.echo(json.dumps(facts.document(), indent=1) if as_json else facts.text())
    if child is not None and not detach:
        say("Ctrl-C ends it.")
        _interruptible(child.wait, data)


def _interruptible(wait: Any, data: Path) -> None:
    """Wait; on Ctrl-C or SIGTERM end the stack first, and leave nothing behind."""
    from local_stack import client

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        wait()
    except KeyboardInterrupt:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        client.down(data)
        raise SystemExit(130) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_BEGAN = time.monotonic()


def _say(line: str) -> None:
    click.echo(f"{time.monotonic() - _BEGAN:5.1f} s  {line}", err=True)


def _say_nothing(_line: str) -> None:
    pass
