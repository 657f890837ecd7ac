"""A private RabbitMQ with its management plugin, its own epmd beside it, and little appetite for memory."""

import os
from pathlib import Path

from local_stack import http
from local_stack.account import Account
from local_stack.binaries import Program
from local_stack.server import Server

_CONFIG = """\
listeners.tcp.1 = 127.0.0.1:{port}
management.tcp.ip = 127.0.0.1
management.tcp.port = {management_port}
default_vhost = orderflow
default_user = admin
default_pass = {password}
heartbeat = 20
vm_memory_high_watermark.absolute = 1GB
disk_free_limit.absolute = 200MB
# The write-ahead log of quorum queues is mirrored in memory up to this size (RabbitMQ's own default: 512 MB).
raft.wal_max_size_bytes = 33554432
log.file = false
log.console = true
log.console.level = warning
log.console.use_colors = off
"""
# epmd is a child of the same group: it ends with the node, whatever becomes of us. `exec` keeps the pid.
_RUN = """\
setpriv --pdeathsig KILL -- "$EPMD" -address 127.0.0.1 -port "$ERL_EPMD_PORT" &
exec "$0"
"""


class RabbitMQ(Server):
    """RabbitMQ with one administrator, `admin`, and the virtual host `orderflow`.

    `ports` are those of AMQP, the management API, Erlang's distribution, and epmd.
    """

    name = "rabbitmq"

    def __init__(
        self,
        program: Program,
        home: Path,
        log: Path,
        account: Account | None,
        *,
        ports: tuple[int, ...],
        password: str,
    ) -> None:
        super().__init__(program, home, log, account)
        self.port, self.management_port, self._distribution_port, self._epmd_port = ports
        self.password = password

    @property
    def address(self) -> str:
        """Where it listens for AMQP."""
        return f"127.0.0.1:{self.port}"

    @property
    def admin_url(self) -> str:
        """The administrator's URL of the management API."""
        return self.management_url("admin", self.password)

    def management_url(self, user: str, password: str) -> str:
        """Return a user's URL of the management API."""
        return f"http://{user}:{password}@127.0.0.1:{self.management_port}"

    def url(self, user: str, password: str) -> str:
        """Return a user's URL for AMQP."""
        return f"amqp://{user}:{password}@{self.address}/orderflow"

    def prepare(self) -> None:
        """Write the settings."""
        self.own_home()
        settings = _CONFIG.format(
            port=self.port, management_port=self.management_port, password=self.password
        )
        self.write(self.home / "rabbitmq.conf", settings)
        self.write(self.home / "plugins", "[rabbitmq_management].\n")

    def command(self) -> list[str]:
        """Return the node's command line."""
        return ["/bin/sh", "-c", _RUN, str(self.program.path)]

    def environment(self) -> dict[str, str]:
        """Return the settings that RabbitMQ's scripts read from the environment."""
        tree = self.program.tree
        schedulers = min(os.cpu_count() or 1, 4)
        base = super().environment()
        return base | {
            "PATH": f"{tree / 'usr/bin'}:{base['PATH']}",
            "EPMD": str(tree / "usr/bin/epmd"),
            "ERL_ROOTDIR": str(tree / "usr/lib/erlang"),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RUNNING_UNDER_SYSTEMD": "true",  # "run the node itself, without a shell around it"
            "RABBITMQ_LOG": "warning,-color",
            "RABBITMQ_CONF_ENV_FILE": str(self.home / "none"),
            "RABBITMQ_NODENAME": f"orderflow-{self.port}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_MNESIA_BASE": str(self.home / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.home / "log"),
            "RABBITMQ_PID_FILE": str(self.home / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.home / "plugins"),
            "RABBITMQ_FEATURE_FLAGS_FILE": str(self.home / "feature_flags"),
            "RABBITMQ_CONFIG_FILE": str(self.home / "rabbitmq.conf"),
            "RABBITMQ_PLUGINS_DIR": str(self.program.path.parents[1] / "plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                f"+S {schedulers}:{schedulers} +sbwt none +sbwtdcpu none +sbwtdio none "
                "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}"
            ),
        }

    def ready(self) -> bool:
        """Return whether it takes connections and its management API answers."""
        answer = http.get(f"{self.admin_url}/api/health/checks/port-listener/{self.port}")
        return answer is not None and answer.status == 200
