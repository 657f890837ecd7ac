"""What every API reads from its environment."""

from dataclasses import dataclass
from pathlib import Path

from shared_events import environment
from shared_events.settings import Servers


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Where the servers are, whose tokens are believed, and how many requests run at once.

    While a file is at `leaving_mark`, the process tells whoever routes requests to send them elsewhere.
    """

    servers: Servers
    jwt_issuer: str
    jwt_audience: str
    jwks_url: str
    jwt_customer_claim: str = "sub"
    request_threads: int = 8
    leaving_mark: Path | None = None

    @classmethod
    def load(cls) -> "HttpSettings":
        """Read the environment. Raises BadSetting, which names the variable."""
        leaving_mark = environment.text("ORDERFLOW_LEAVING_MARK", "")
        return cls(
            servers=Servers.load(),
            jwt_issuer=environment.text("ORDERFLOW_JWT_ISSUER"),
            jwt_audience=environment.text("ORDERFLOW_JWT_AUDIENCE"),
            jwks_url=environment.url("ORDERFLOW_JWKS_URL", "http", "https", "file"),
            jwt_customer_claim=environment.text("ORDERFLOW_JWT_CUSTOMER_CLAIM", "sub"),
            request_threads=environment.whole("ORDERFLOW_HTTP_THREADS", 8, least=1),
            leaving_mark=Path(leaving_mark) if leaving_mark else None,
        )
