"""Where the servers' programs are: on the PATH, in Debian's usual places, or unpacked by us."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from local_stack import unpack

# What must be found for a server to run, by its name in Debian's package archive.
PACKAGES = {
    "postgres": "postgresql",
    "redis": "redis-server",
    "rabbitmq": "rabbitmq-server",
    "caddy": "caddy",
}


@dataclass(frozen=True)
class Program:
    """One server's main program and the tree that it was found in (`/` for the system's own)."""

    path: Path
    tree: Path

    def environment(self) -> dict[str, str]:
        """Return what a program needs in its environment to run from this tree."""
        if self.tree == Path("/"):
            return {}
        folders = [str(folder) for folder in sorted(self.tree.glob("usr/lib/*-linux-*")) if folder.is_dir()]
        return {"LD_LIBRARY_PATH": ":".join(folders)}


def find(name: str) -> Program | None:
    """Return a server's program from the system, else from what was unpacked before, else None."""
    for tree in (Path("/"), unpack.tree()):
        path = _look(name, tree)
        if path is not None:
            return Program(path, tree)
    return None


def locate(names: tuple[str, ...] = tuple(PACKAGES)) -> dict[str, Program]:
    """Return the program of every server named; what the machine lacks is unpacked first."""
    missing = [name for name in names if find(name) is None]
    if missing:
        unpack.unpack(tuple(PACKAGES[name] for name in missing))
    programs = {name: find(name) for name in names}
    absent = [name for name, program in programs.items() if program is None]
    if absent:
        raise unpack.UnpackError(f"no program found for {', '.join(absent)} even after unpacking its package")
    return {name: program for name, program in programs.items() if program is not None}


def _look(name: str, tree: Path) -> Path | None:
    if name == "postgres":
        return _newest(tree, "usr/lib/postgresql/*/bin/postgres")
    if name == "rabbitmq":
        # The script itself, not Debian's wrapper in /usr/sbin, which insists on a user of its own.
        erlang = (tree / "usr/bin/erl").exists()
        return (
            _newest(tree, "usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server") if erlang else None
        )
    program = {"redis": "redis-server", "caddy": "caddy"}[name]
    if tree == Path("/"):
        found = shutil.which(program)
        return Path(found).resolve() if found else None
    return _newest(tree, f"usr/bin/{program}")


def _newest(tree: Path, pattern: str) -> Path | None:
    def version(path: Path) -> tuple[int, ...]:
        digits = "".join(letter if letter.isdigit() else " " for letter in str(path.relative_to(tree)))
        return tuple(int(number) for number in digits.split())

    found = [path for path in tree.glob(pattern) if path.is_file()]
    return max(found, key=version) if found else None
