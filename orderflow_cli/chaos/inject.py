"""Which function makes which fault: entered it begins, left it is healed and what it hit is ready again."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from orderflow_cli.chaos import message_faults, process_faults, server_faults
from orderflow_cli.chaos.poison import poison
from orderflow_cli.chaos.scene import Scene
from orderflow_cli.chaos.schedule import Fault

Injector = Callable[[Scene, Fault], AbstractContextManager[None]]

INJECTORS: dict[str, Injector] = {
    "api-killed": process_faults.killed,
    "pool-process-killed": process_faults.pool_process_killed,
    "worker-killed": process_faults.killed,
    "relay-killed": process_faults.killed,
    "executor-killed": process_faults.killed,
    "simulator-killed": process_faults.killed,
    "flower-killed": process_faults.killed,
    "gateway-killed": process_faults.killed,
    "worker-frozen": process_faults.frozen,
    "relay-frozen": process_faults.frozen,
    "executor-frozen": process_faults.frozen,
    "broker-killed": server_faults.server_killed,
    "redis-lost": server_faults.redis_lost,
    "redis-flushed": server_faults.redis_flushed,
    "postgres-killed": server_faults.server_killed,
    "broker-alarm": server_faults.memory_alarm,
    "connections-cut": server_faults.network,
    "latency": server_faults.network,
    "black-hole": server_faults.network,
    "half-open": server_faults.network,
    "duplicate-all": message_faults.duplicate_all,
    "reorder": message_faults.reorder,
    "poison": poison,
    "provider-timeouts": server_faults.weather,
    "provider-5xx": server_faults.weather,
    "provider-slow": server_faults.weather,
    "provider-down": process_faults.stopped,
    "clock": process_faults.clock_off,
    "rolling-restart": process_faults.rolling_restart,
}
