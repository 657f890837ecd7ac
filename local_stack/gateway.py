"""The gateway: Caddy on the routes of deploy/gateway/Caddyfile, with this stack's addresses."""

import base64
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from local_stack import http
from local_stack.account import Account
from local_stack.binaries import Program
from local_stack.errors import StackError
from local_stack.server import Server

_CADDYFILE = Path(__file__).resolve().parents[1] / "deploy" / "gateway" / "Caddyfile"


class Gateway(Server):
    """Caddy in front of the APIs. `variables` are asked for at each start and each `reload`.

    Two may run at once: Caddy lets another listen on its `port` beside it (SO_REUSEPORT), but not on `admin_port`.
    """

    name = "gateway"

    def __init__(
        self,
        program: Program,
        home: Path,
        log: Path,
        account: Account | None,
        *,
        port: int,
        admin_port: int,
        variables: Callable[[], Mapping[str, str]],
    ) -> None:
        super().__init__(program, home, log, account)
        self.port = port
        self._admin = f"127.0.0.1:{admin_port}"
        self._variables = variables

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    @property
    def site(self) -> Path:
        """The directory of static pages."""
        return self.home / "site"

    def prepare(self) -> None:
        """Give Caddy a copy of its routes that it can read."""
        self.own_home()
        self.write(self.home / "Caddyfile", _CADDYFILE.read_text(encoding="utf-8"))

    def publish(self, pages: Path) -> None:
        """Replace the static pages."""
        self.own_home()
        shutil.rmtree(self.site, ignore_errors=True)
        shutil.copytree(pages, self.site)
        if self.account is not None:
            for path in (self.site, *self.site.rglob("*")):
                shutil.chown(path, self.account.uid, self.account.gid)

    def command(self) -> list[str]:
        """Return Caddy's command line."""
        return [str(self.program.path), "run", *self._config()]

    def environment(self) -> dict[str, str]:
        """Return what the routes refer to."""
        return {
            **super().environment(),
            "XDG_CONFIG_HOME": str(self.home),
            "XDG_DATA_HOME": str(self.home),
            "GATEWAY_ADDRESS": f"http://{self.address}",
            "GATEWAY_ADMIN": self._admin,
            "SITE_ROOT": str(self.site),
            **self._variables(),
        }

    def ready(self) -> bool:
        """Return whether it answers, it and not another on the same port."""
        routes = http.get(f"http://{self._admin}/config/apps/http/servers")
        answer = http.get(f"http://{self.address}/health")
        return all(each is not None and each.status == 200 for each in (routes, answer))

    def reload(self) -> None:
        """Have the running Caddy take up changed upstreams without dropping a connection."""
        command = [str(self.program.path), "reload", *self._config(), "--address", self._admin]
        self._run(command, self.environment(), "take up its new routes")

    def _config(self) -> list[str]:
        return ["--config", str(self.home / "Caddyfile"), "--adapter", "caddyfile"]

    def hash(self, password: str) -> str:
        """Return what Caddy checks a password against; it takes a second or more, on purpose."""
        command = [str(self.program.path), "hash-password"]
        return self._run(command, super().environment(), "hash a password", said=f"{password}\n").strip()

    def _run(
        self, command: list[str], environment: Mapping[str, str], purpose: str, said: str | None = None
    ) -> str:
        result = subprocess.run(  # noqa: S603 - fixed commands
            command,
            env=dict(environment),
            cwd="/",
            input=said,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        if result.returncode:
            lines = result.stderr.strip().splitlines() or ["no reason given"]
            raise StackError(f"gateway: cannot {purpose}: {lines[-1]}")
        return result.stdout


def basic(user: str, password: str) -> str:
    """Return the value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
