"""What Orders reads from its environment besides the servers."""

from dataclasses import dataclass

from orders_svc.saga import Deadlines
from shared_events import environment


@dataclass(frozen=True)
class Settings:
    """Deadlines of the saga, and the outbox size at which new orders are refused for a while."""

    deadlines: Deadlines
    max_outbox_rows: int

    @classmethod
    def load(cls) -> "Settings":
        """Read the environment. Raises BadSetting, which names the variable."""
        environment.choice("ORDERFLOW_FULFILMENT", ("automatic",), "automatic")
        return cls(
            Deadlines(
                stock_s=environment.number("ORDERFLOW_STOCK_DEADLINE_S", 86_400, least=1),
                payment_s=environment.number("ORDERFLOW_PAYMENT_DEADLINE_S", 7_200, least=1),
            ),
            environment.whole("ORDERFLOW_MAX_OUTBOX_ROWS", 1_000_000, least=1),
        )
