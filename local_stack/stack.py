"""A whole stack, and how it comes up."""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from local_stack import binaries, blueprint, doors, fault_proxy, given, state
from local_stack.access import Access
from local_stack.account import reachable, server_account
from local_stack.blueprint import Blueprint
from local_stack.errors import StackError
from local_stack.gateway import Gateway
from local_stack.ports import is_free
from local_stack.server import Server
from local_stack.servers import PORTS, Servers
from local_stack.state import State
from local_stack.supervisor import Supervisor
from local_stack.unit import Unit
from orderflow_cli import dev_key, seed
from orderflow_cli.migrate import migrate
from orderflow_cli.names import SERVERS, SERVICES
from orderflow_cli.provision import DEPLOY, provision_postgres, provision_rabbitmq, provision_redis

_SERVER_S, _PROCESS_S = 90.0, 120.0
# Twice the time after which the gateway looks at the health of each API again (`health_interval`, 1 s).
_SEEN_S = 2.0


class Stack:
    """The stack of one data directory, inside its supervisor."""

    def __init__(self, data: Path, memory: State, *, seeded: bool) -> None:
        self.data = data
        self.seeded = seeded
        self.state = memory
        self.supervisor = Supervisor(data, self._boot)
        self._blueprint: Blueprint | None = None
        self._gateway: Gateway | None = None
        self._rolling = threading.Lock()

    def _boot(self, supervisor: Supervisor) -> None:
        """Start the servers, make them ready, start every process, and seed."""
        began = time.monotonic()
        self.state.drop_taken_ports()
        dev_key.make(self.data)
        access = self._start_servers(supervisor)
        self._blueprint = Blueprint(self.data, self.state, access)
        with ThreadPoolExecutor() as pool:
            page = pool.submit(self._make_gateway)
            list(pool.map(lambda step: step(), self._preparations(supervisor, access)))
            page.result()
        names = blueprint.names(self.state.scale)
        if self.state.faulty:
            fault_proxy.choose_ports(self.state)
            names = [fault_proxy.NAME, *names]
        supervisor.say(f"starting {len(names)} processes and the gateway")
        for name in names:
            supervisor.add(self.blueprint.unit(name))
        supervisor.add(_server_unit(self.gateway, "gateway"))
        state.save(self.data, self.state)
        supervisor.await_ready([*names, "gateway"], _PROCESS_S)
        doors.await_open(self.gateway.address, SERVICES)
        if self.seeded:
            supervisor.say("seeding products, stock and customers")
            seed.run(f"http://{self.gateway.address}", self.data)
        supervisor.say(f"ready after {time.monotonic() - began:.0f} s")

    @property
    def blueprint(self) -> Blueprint:
        """What makes the processes; it is there once the servers are known."""
        if self._blueprint is None:
            raise StackError("the stack is still starting its servers: try again in a moment")
        return self._blueprint

    @property
    def gateway(self) -> Gateway:
        """The gateway; it is there once the servers are known."""
        if self._gateway is None:
            raise StackError("the stack is still starting its servers: try again in a moment")
        return self._gateway

    def restart(self, name: str) -> None:
        """Restart one process, without a gap if it is behind or is the gateway; StackError if it does not start.

        The gap is avoided by a successor that runs beside the old one for a while. If the successor is never
        ready, the old one goes on as if nothing had been asked. Where its port is taken there is a gap. One restart
        goes on at a time, and waits (30 s at most) until nothing that an earlier one replaced holds the port.
        """
        with self._rolling:
            self.supervisor.await_left(name)
            old = self.supervisor.units.get(name)
            if old is None or old.removed:
                raise StackError(f"there is no {name} any more")
            if old.role in {"api", "flower"} and old.health and self._spare_is_free(name):
                self._roll_server(old)
            elif old.role == "gateway" and old.health and self._spare_is_free("gateway-admin"):
                self._roll_gateway(old)
            else:
                self.supervisor.restart([name])

    def _roll_server(self, old: Unit) -> None:
        """Open a second door, have the gateway see it, have it leave the first, and close that one."""
        self.state.swap_ports(old.name)
        try:
            new = self.blueprint.unit(old.name)
            self.supervisor.start_beside(new, _PROCESS_S)
            time.sleep(_SEEN_S)
            self.supervisor.take_over(new, old)
        except StackError:
            self.state.swap_ports(old.name)
            raise
        mark = blueprint.leaving_mark(self.data, old.port)
        mark.parent.mkdir(exist_ok=True)
        mark.touch()
        time.sleep(_SEEN_S)
        self.supervisor.retire(old)

    def _roll_gateway(self, old: Unit) -> None:
        """Have another Caddy listen on the same port; the old one takes its clients to it before it ends."""
        self.state.swap_ports("gateway-admin")
        gateway = self._new_gateway()
        new = _server_unit(gateway, "gateway")
        try:
            self.supervisor.start_beside(new, _PROCESS_S)
            self.supervisor.take_over(new, old)
        except StackError:
            self.state.swap_ports("gateway-admin")
            raise
        self._gateway = gateway
        self.supervisor.retire(old)

    def _spare_is_free(self, name: str) -> bool:
        """Return whether a successor can start beside a process; the port was chosen when the stack came up."""
        port = self.state.port_of(state.spare_of(name))
        if not is_free(port):
            self.supervisor.say(
                f"{name}: somebody else has its second port, {port}: it is restarted with a gap"
            )
            return False
        return True

    def _start_servers(self, supervisor: Supervisor) -> Access:
        elsewhere = given.servers()
        names = tuple(name for name in SERVERS if name not in elsewhere)
        missing = [name for name in (*names, "caddy") if binaries.find(name) is None]
        if missing:
            supervisor.say(f"unpacking {', '.join(missing)} from Debian's packages, once (about 20 s)")
            binaries.locate((*names, "caddy"))
        ports = {name: self.state.port_of(name) for name in PORTS}
        servers = Servers(self.data, ports, self.state.admin_passwords, names)
        if names:
            supervisor.say(f"starting {', '.join(names)}")
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda server: server.prepare(), servers.all))
        for server in servers.all:
            supervisor.add(_server_unit(server, "server"))
        return self._access(servers, elsewhere)

    def _access(self, servers: Servers, elsewhere: dict[str, str]) -> Access:
        amqp = given.amqp_address(elsewhere["rabbitmq"]) if "rabbitmq" in elsewhere else None
        return Access(
            postgres_admin_url=elsewhere.get("postgres") or servers.postgres.admin_url,
            rabbitmq_admin_url=elsewhere.get("rabbitmq") or servers.rabbitmq.admin_url,
            redis_admin_url=elsewhere.get("redis") or servers.redis.admin_url,
            amqp_address=amqp or servers.rabbitmq.address,
            passwords=self.state.passwords,
        )

    def _preparations(self, supervisor: Supervisor, access: Access) -> list[Callable[[], None]]:
        passwords = access.passwords

        def wait(name: str) -> None:
            if name in supervisor.units:
                supervisor.await_ready([name], _SERVER_S)

        def databases() -> None:
            wait("postgres")
            provision_postgres(access.postgres_admin_url, passwords, DEPLOY / "postgres" / "roles.sql")
            supervisor.say("migrating the four databases")
            migrate({service: access.database_url(service) for service in SERVICES})

        def messages() -> None:
            wait("rabbitmq")
            definitions = DEPLOY / "rabbitmq" / "definitions.json"
            provision_rabbitmq(access.rabbitmq_admin_url, passwords, definitions)

        def claims() -> None:
            wait("redis")
            provision_redis(access.redis_admin_url, passwords)

        return [databases, messages, claims]

    def _make_gateway(self) -> None:
        self._gateway = gateway = self._new_gateway()
        self.state.ops_password_hash = self.state.ops_password_hash or gateway.hash(self.state.ops_password)
        with tempfile.TemporaryDirectory(prefix="site-", dir=self.data) as pages:
            self._build_pages(Path(pages))
            gateway.publish(Path(pages))

    def _new_gateway(self) -> Gateway:
        account = server_account()
        return Gateway(
            binaries.locate(("caddy",))["caddy"],
            reachable(self.data / "var", account) / "gateway",
            self.data / "logs" / "gateway.log",
            account,
            port=self.state.port,
            admin_port=self.state.port_of("gateway-admin"),
            variables=lambda: self.blueprint.gateway_variables(self._apis()),
        )

    def _build_pages(self, pages: Path) -> None:
        """Build the static site; the development issuer's public key is part of it."""
        result = subprocess.run(  # noqa: S603 - fixed command
            [sys.executable, "-m", "orderflow_cli.site", str(pages)],
            cwd=blueprint.ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise StackError(f"cannot build the static pages: {result.stderr.strip().splitlines()[-1]}")
        known = pages / ".well-known"
        known.mkdir(exist_ok=True)
        (known / "jwks.json").write_bytes(dev_key.jwks_file(self.data).read_bytes())

    def _apis(self) -> dict[str, list[str]]:
        """Return where each service's APIs are or, after a restart, will be."""
        apis: dict[str, list[str]] = {service: [] for service in SERVICES}
        for unit in self.supervisor.units.values():
            if unit.role == "api" and not unit.removed:
                apis[unit.name.partition("-")[0]] += self.state.addresses(unit.name)
        return apis


def _server_unit(server: Server, role: str) -> Unit:
    def launch() -> None:
        server.prepare()
        server.spawn()

    def probe() -> str | None:
        return "ready" if server.ready() else None

    return Unit(server.name, role, getattr(server, "address", ""), server.process, launch, probe)
