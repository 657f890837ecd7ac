"""How much is done: in a full run, and in a quick one."""

from dataclasses import dataclass

SECTIONS = ("saga", "contenders", "hot", "latency", "intake", "backlog", "quotas", "memory", "million")


@dataclass(frozen=True)
class Size:
    """Numbers of orders, paces (a second) and seconds."""

    rounds: int
    orders: int
    warm: int
    low_rate: float
    low_s: float
    high_s: float
    backlog: int
    hot_orders: int
    hot_turns: int
    quota_orders: int
    quota_rounds: int
    memory: tuple[int, int]
    finished: int
    turn_s: float
    """How long a turn should last: `orders` are what ours takes in it, and a contender's are fewer if it is slower."""


FULL = Size(
    rounds=3, orders=9000, warm=300, low_rate=20, low_s=30, high_s=30, backlog=10_000, hot_orders=3000, hot_turns=10,
    quota_orders=2400, quota_rounds=3, memory=(1000, 100_000), finished=1_000_000, turn_s=30,
)  # fmt: skip
QUICK = Size(
    rounds=1, orders=600, warm=100, low_rate=20, low_s=10, high_s=8, backlog=1000, hot_orders=300, hot_turns=2,
    quota_orders=200, quota_rounds=1, memory=(300, 1500), finished=20_000, turn_s=10,
)  # fmt: skip
