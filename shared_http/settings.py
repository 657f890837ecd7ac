"""What every API reads from its environment."""

from dataclasses import dataclass

from shared_events import environment


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Where Redis and the broker are, whose tokens are believed, and how many requests run at once."""

    redis_url: str
    broker_url: str
    jwt_issuer: str
    jwt_audience: str
    jwks_url: str
    jwt_customer_claim: str = "sub"
    request_threads: int = 8

    @classmethod
    def from_environment(cls) -> "HttpSettings":
        """Read them; raises BadSetting."""
        return cls(
            redis_url=environment.url("ORDERFLOW_REDIS_URL", "redis", "rediss", "unix"),
            broker_url=environment.url("ORDERFLOW_BROKER_URL", "amqp", "amqps"),
            jwt_issuer=environment.text("ORDERFLOW_JWT_ISSUER"),
            jwt_audience=environment.text("ORDERFLOW_JWT_AUDIENCE"),
            jwks_url=environment.url("ORDERFLOW_JWKS_URL", "http", "https", "file"),
            jwt_customer_claim=environment.text("ORDERFLOW_JWT_CUSTOMER_CLAIM", "sub"),
            request_threads=environment.whole("ORDERFLOW_HTTP_THREADS", 8, least=1),
        )
