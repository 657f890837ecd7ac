"""Whom the servers run as, and where their files may lie.

PostgreSQL refuses to run as root, and no server needs to: started by root, all of them run as an
unprivileged account. That account must be able to walk to its files, which it cannot below a private home.
"""

import hashlib
import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

_ELSEWHERE = Path("/var/tmp")  # noqa: S108 - a directory of our own is made in it, and its owner is checked


@dataclass(frozen=True)
class Account:
    """A user that servers run as."""

    uid: int
    gid: int

    def owns(self, path: Path) -> None:
        """Make the directory if need be and give it to this account alone."""
        path.mkdir(parents=True, exist_ok=True)
        os.chown(path, self.uid, self.gid)
        path.chmod(0o700)


def server_account() -> Account | None:
    """Return the unprivileged account for servers, or None if we are unprivileged ourselves."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return Account(entry.pw_uid, entry.pw_gid)


def reachable(path: Path, account: Account | None) -> Path:
    """Return `path`, or a stand-in below /var/tmp if `account` cannot walk to it or its name holds a space.

    (RabbitMQ's scripts do not stand a space.)
    The stand-in is linked from `path`, so that whoever looks there finds it.
    """
    path = path.absolute()
    if " " not in str(path) and (account is None or _can_walk(path.parent)):
        path.mkdir(parents=True, exist_ok=True)
        return path
    name = f"orderflow-{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    stand_in = _ELSEWHERE / name
    stand_in.mkdir(exist_ok=True, mode=0o711)
    if stand_in.is_symlink() or stand_in.stat().st_uid != os.geteuid():
        raise PermissionError(f"{stand_in} belongs to somebody else")
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_symlink():
        path.symlink_to(stand_in, target_is_directory=True)
    return stand_in


def _can_walk(path: Path) -> bool:
    existing = [part for part in (path, *path.parents) if part.exists()]
    return all(part.stat().st_mode & stat.S_IXOTH for part in existing)
