"""`orderflow doctor`: see what is missing on this machine, and how to get it."""

import json
import os
import shutil
import sys
from dataclasses import asdict, dataclass

import click

from orderflow_cli.options import ROOT, json_option

_NEEDED_MB = 1500
_OK, _MISSING = "ok", "missing"


@dataclass(frozen=True)
class Finding:
    """One thing that a local stack needs: whether it is here, and if not, how to get it."""

    name: str
    state: str
    detail: str


@click.command()
@json_option
def command(as_json: bool) -> None:
    """See what a local stack needs, what is missing on this machine, and how to get it; exit 1 if it matters."""
    found = [_python(), _disk(), _setpriv(), *_servers()]
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found], indent=1))
    else:
        for each in found:
            click.echo(f"{each.state:8} {each.name:14} {each.detail}")
    if any(each.state == _MISSING for each in found):
        raise SystemExit(1)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", _OK, f"{version} in {sys.prefix}")


def _disk() -> Finding:
    free = shutil.disk_usage(ROOT).free // 1_000_000
    if free >= _NEEDED_MB:
        return Finding("disk", _OK, f"{free} MB free")
    return Finding(
        "disk", _MISSING, f"{free} MB free of the {_NEEDED_MB} MB that servers and their data may need"
    )


def _setpriv() -> Finding:
    if shutil.which("setpriv"):
        who = "servers will run as nobody" if os.geteuid() == 0 else "servers will run as you"
        return Finding("setpriv", _OK, who)
    return Finding("setpriv", _MISSING, "Debian, Ubuntu: apt-get install util-linux")


def _servers() -> list[Finding]:
    from local_stack import binaries, given, unpack

    elsewhere = given.servers()
    return [
        Finding(name, _OK, f"given by {given.VARIABLES[name]}")
        if name in elsewhere
        else _server(name, binaries.find(name), unpack.possible(), unpack.WAYS_OUT)
        for name in binaries.PACKAGES
    ]


def _server(name: str, program: object, can_unpack: bool, ways_out: str) -> Finding:
    if program is not None:
        return Finding(name, _OK, str(getattr(program, "path", "")))
    if can_unpack:
        return Finding(name, _OK, "not here: `up` unpacks Debian's package, which needs no root")
    return Finding(name, _MISSING, f"not here, nor apt-get and dpkg-deb to unpack it: {ways_out}")
