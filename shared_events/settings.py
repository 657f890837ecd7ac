"""The settings that every process of every service needs."""

from dataclasses import dataclass

from shared_events import environment
from shared_events.topology import TIERS_S


@dataclass(frozen=True)
class Servers:
    """Where this service's own PostgreSQL, RabbitMQ and Redis are, with this service's own credentials."""

    database_url: str
    broker_url: str
    redis_url: str

    @classmethod
    def load(cls) -> "Servers":
        """Read the environment. Raises BadSetting, which names the variable."""
        return cls(
            database_url=environment.url("ORDERFLOW_DATABASE_URL", "postgresql"),
            broker_url=environment.url("ORDERFLOW_BROKER_URL", "amqp", "amqps"),
            redis_url=environment.url("ORDERFLOW_REDIS_URL", "redis", "rediss"),
        )


def time_limits() -> tuple[float, float]:
    """Return how long a batch may take: (soft, hard), ORDERFLOW_SOFT_LIMIT_S and ORDERFLOW_HARD_LIMIT_S.

    At the soft limit the handler gets an exception; at the hard limit its process is killed.
    """
    soft_s = environment.number("ORDERFLOW_SOFT_LIMIT_S", 30.0, least=0.1)
    hard_s = environment.number("ORDERFLOW_HARD_LIMIT_S", 2 * soft_s, least=0.1)
    if hard_s <= soft_s:
        raise environment.BadSetting("ORDERFLOW_HARD_LIMIT_S must be greater than ORDERFLOW_SOFT_LIMIT_S")
    return soft_s, hard_s


def retry_tiers() -> tuple[int, ...]:
    """Return the back-off tiers in use: ORDERFLOW_RETRY_TIERS_S, some of TIERS_S in rising order."""
    value = environment.text("ORDERFLOW_RETRY_TIERS_S", ",".join(map(str, TIERS_S)))
    try:
        tiers = tuple(int(each) for each in value.split(","))
    except ValueError as error:
        raise environment.BadSetting(f"ORDERFLOW_RETRY_TIERS_S must be numbers, not {value!r}") from error
    if not set(tiers) <= set(TIERS_S) or list(tiers) != sorted(set(tiers)):
        raise environment.BadSetting(f"ORDERFLOW_RETRY_TIERS_S must be some of {TIERS_S} in rising order")
    return tiers
