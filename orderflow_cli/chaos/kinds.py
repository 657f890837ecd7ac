"""The faults that chaos knows: their names, whom they may hit, how long they last."""

from dataclasses import dataclass

from local_stack.fault_proxy import ROUTES
from orderflow_cli.names import SERVICES

APIS = tuple(f"{service}-api" for service in SERVICES)
WORKERS = tuple(f"{service}-worker" for service in SERVICES)
RELAYS = tuple(f"{service}-relay" for service in SERVICES)
EXECUTOR, SIMULATOR = "payments-executor", "provider-simulator"
MESSAGES, EVERYTHING = "messages", "everything"

_MOMENT = (0.0, 0.0)
_FREEZE = (22.0, 45.0)
_WHILE = (8.0, 20.0)
_DAY_S = 86_400.0


@dataclass(frozen=True)
class Kind:
    """A kind of fault. `lasts_s` is the shortest and the longest, `rest_s` the least time between two of it.

    `amounts` are what else may vary: seconds of delay, or seconds that a clock is off. One that `spans` lasts for
    the whole run if it is the only kind.
    """

    name: str
    targets: tuple[str, ...]
    what: str
    lasts_s: tuple[float, float] = _MOMENT
    rest_s: float = 5.0
    amounts: tuple[float, ...] = (0.0,)
    spans: bool = False


_ALL = (
    Kind("api-killed", APIS, "kill -9 of an API"),
    Kind("pool-process-killed", (*WORKERS, EXECUTOR), "kill -9 of one pool process of a worker"),
    Kind("worker-killed", WORKERS, "kill -9 of a whole worker"),
    Kind("relay-killed", RELAYS, "kill -9 of a relay"),
    Kind("executor-killed", (EXECUTOR,), "kill -9 of the payments executor"),
    Kind("simulator-killed", (SIMULATOR,), "kill -9 of the payment provider"),
    Kind("flower-killed", ("flower",), "kill -9 of Flower"),
    Kind("gateway-killed", ("gateway",), "kill -9 of the gateway"),
    Kind("worker-frozen", WORKERS, "SIGSTOP of a worker for longer than the heartbeat", _FREEZE),
    Kind("relay-frozen", RELAYS, "SIGSTOP of a relay for longer than the heartbeat", _FREEZE),
    Kind("executor-frozen", (EXECUTOR,), "SIGSTOP of the executor for longer than the heartbeat", _FREEZE),
    Kind("broker-killed", ("rabbitmq",), "kill -9 of RabbitMQ, which starts again", rest_s=20.0),
    Kind("redis-lost", ("redis",), "kill -9 of Redis, which starts again without its data", rest_s=10.0),
    Kind("redis-flushed", ("redis",), "FLUSHALL"),
    Kind("postgres-killed", ("postgres",), "kill -9 of PostgreSQL, which starts again", rest_s=15.0),
    Kind("broker-alarm", ("rabbitmq",), "RabbitMQ's memory alarm blocks all publishers", (5.0, 15.0)),
    Kind("connections-cut", ROUTES, "every connection of a service to a server is reset"),
    Kind("latency", ROUTES, "a delay on a service's way to a server", _WHILE, amounts=(0.02, 0.1, 0.3)),
    Kind("black-hole", ROUTES, "nothing passes between a service and a server, and nobody is told", (5.0, 25.0)),
    Kind("half-open", ROUTES, "the server has closed, and the service does not learn it", (5.0, 25.0)),
    Kind("duplicate-all", (MESSAGES,), "every message is delivered twice", _WHILE, spans=True),
    Kind("reorder", (MESSAGES,), "messages are held back, so that others overtake them", _WHILE, spans=True),
    Kind("poison", (MESSAGES,), "messages from outside that nobody can handle"),
    Kind("provider-timeouts", (SIMULATOR,), "charges are made and their answers are lost", (5.0, 12.0)),
    Kind("provider-5xx", (SIMULATOR,), "the provider answers 503", (5.0, 12.0)),
    Kind("provider-slow", (SIMULATOR,), "the provider takes seconds", (5.0, 12.0), amounts=(1.0, 2.0, 4.0)),
    Kind("provider-down", (SIMULATOR,), "the provider is stopped", (5.0, 12.0)),
    Kind("clock", (*WORKERS, *RELAYS, EXECUTOR), "a process runs with its clock a day off", _WHILE,
         amounts=(_DAY_S, -_DAY_S)),
    Kind("rolling-restart", (EVERYTHING,), "every process is restarted, one after another", rest_s=60.0),
)  # fmt: skip

KINDS = {kind.name: kind for kind in _ALL}
THROUGH_THE_PROXY = ("connections-cut", "latency", "black-hole", "half-open")
