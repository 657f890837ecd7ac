"""Debian's server packages, unpacked below the project: no root, nothing installed on the system.

apt resolves and downloads what this machine lacks into private state directories, and `dpkg-deb -x` unpacks
it. The one way for root and everybody else.
"""

import fcntl
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from local_stack.account import reachable, server_account
from local_stack.errors import StackError

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / ".orderflow" / "servers"
WAYS_OUT = (
    "give servers by ORDERFLOW_POSTGRES_ADMIN_URL, ORDERFLOW_RABBITMQ_ADMIN_URL and "
    "ORDERFLOW_REDIS_ADMIN_URL, or use `docker compose up`"
)


class UnpackError(StackError):
    """The servers' programs could not be had; the text says why and names the ways out."""


def tree() -> Path:
    """Return the directory that packages are unpacked into, as the servers' account reaches it."""
    return HOME.resolve() / "root"


def possible() -> bool:
    """Return whether this machine has what unpacking needs."""
    return all(shutil.which(tool) for tool in ("apt-get", "dpkg-deb"))


def unpack(packages: tuple[str, ...], say: Callable[[str], None] = lambda _line: None) -> None:
    """Download the packages and all that this machine lacks for them, and unpack them into `tree()`."""
    if not possible():
        raise UnpackError(f"this machine has no apt-get or dpkg-deb: {WAYS_OUT}")
    home = reachable(HOME, server_account())
    with _alone(home):
        say(f"downloading {', '.join(packages)} (nothing is installed on the system)")
        archives = _download(home / "apt", packages)
        for archive in archives:
            _run(["dpkg-deb", "-x", str(archive), str(home / "root")], f"unpack {archive.name}")
        _settle_erlang(home / "root")
        shutil.rmtree(home / "apt")


def _download(state: Path, packages: tuple[str, ...]) -> list[Path]:
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    options = {
        "Dir::State": state / "state",
        "Dir::Cache": state / "cache",
        "Dir::State::status": "/var/lib/dpkg/status",
        "Debug::NoLocking": 1,
        "APT::Install-Recommends": 0,
        "APT::Sandbox::User": "",
        "Acquire::Retries": 3,
    }
    apt = ["apt-get", "-q", "-y", *(f"-o{name}={value}" for name, value in options.items())]
    _run([*apt, "update"], "read the package lists")
    _run([*apt, "install", "--download-only", *packages], f"download {', '.join(packages)}")
    return sorted((state / "cache/archives").glob("*.deb"))


def _settle_erlang(tree: Path) -> None:
    """Erlang's start scripts carry the root that they were built for: name the real one."""
    built_for = b"ROOTDIR=/usr/lib/erlang"
    settled = f"ROOTDIR={tree}/usr/lib/erlang".encode()
    for script in [*tree.glob("usr/lib/erlang/bin/*"), *tree.glob("usr/lib/erlang/erts-*/bin/*")]:
        content = script.read_bytes()
        if content.startswith(b"#!") and built_for in content:
            script.write_bytes(content.replace(built_for, settled))


def _run(command: list[str], purpose: str) -> None:
    # C.UTF-8: error lines in one language, on every machine
    result = subprocess.run(  # noqa: S603 - fixed commands
        ["/usr/bin/env", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", *command],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        lines = (result.stderr or result.stdout).strip().splitlines() or ["no reason given"]
        raise UnpackError(f"cannot {purpose}: {lines[-1]}; {WAYS_OUT}")


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
