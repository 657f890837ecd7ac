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
