"""What a stack remembers between two runs: its ports, passwords and sizes, in `<data>/stack.json`."""

import json
import os
import secrets
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

from local_stack import servers
from local_stack.access import new_passwords
from local_stack.errors import StackError
from local_stack.ports import free_port, is_free

DEFAULT_PORT = 8080
# All that a stack keeps in its directory; the unpacked servers may lie there too, and stay.
_BELONGINGS = (
    "var", "logs", "site-*", "stack.json*", "processes.json*", "supervisor.lock", "control.sock",
    "dev-key.pem", "jwks.json", "provider-simulator.db*", "accepted", "leaving",
)  # fmt: skip


@dataclass
class State:
    """A stack's memory. `ports` has one for each name that listens.

    `faulty`: the services reach their servers through the fault proxy.
    """

    port: int = DEFAULT_PORT
    ports: dict[str, int] = field(default_factory=dict)
    admin_passwords: dict[str, str] = field(default_factory=servers.new_passwords)
    passwords: dict[str, str] = field(default_factory=new_passwords)
    ops_password: str = field(default_factory=lambda: secrets.token_hex(8))
    ops_password_hash: str = ""
    scale: dict[str, int] = field(default_factory=dict)
    concurrency: int | None = None
    faulty: bool = False

    def port_of(self, name: str) -> int:
        """Return the port under this name, chosen at its first use."""
        if name not in self.ports:
            self.ports[name] = free_port()
        return self.ports[name]

    def addresses(self, name: str) -> list[str]:
        """Return where a process is or, after a restart, will be: its port and the spare one, in fixed order."""
        return [f"127.0.0.1:{port}" for port in sorted((self.port_of(name), self.port_of(spare_of(name))))]

    def swap_ports(self, name: str) -> None:
        """Exchange the port under a name for the spare one beside it, where a successor can start."""
        spare = spare_of(name)
        self.ports[name], self.ports[spare] = self.port_of(spare), self.port_of(name)

    def drop_taken_ports(self) -> None:
        """Forget the ports that somebody else has taken since the last run."""
        self.ports = {name: port for name, port in self.ports.items() if is_free(port)}


def spare_of(name: str) -> str:
    """Return the name of the second port that a process has for its successor."""
    return f"{name}-spare"


def path(data: Path) -> Path:
    """Return where the memory is."""
    return data / "stack.json"


def exists(data: Path) -> bool:
    """Return whether a stack was ever started in this directory."""
    return path(data).exists()


def load(data: Path) -> State:
    """Return a stack's memory; a new one if it has none."""
    try:
        return State(**json.loads(path(data).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return State()
    except (ValueError, TypeError) as error:
        raise StackError(f"{path(data)} is damaged: remove it, or use `./orderflow down --wipe`") from error


def save(data: Path, state: State) -> None:
    """Write it, for our own eyes only, whole or not at all."""
    draft = data / "stack.json.new"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(state), file, indent=1)
    draft.replace(path(data))


def wipe(data: Path) -> None:
    """Remove all that a stack which does not run has kept."""
    for pattern in _BELONGINGS:
        for found in data.glob(pattern):
            if found.is_dir():
                shutil.rmtree(found.resolve())
            if found.is_symlink() or found.exists():
                found.unlink()
