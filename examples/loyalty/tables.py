"""Points by customer: the only file that knows columns."""

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection

from shared_events.contract import Message
from shared_events.work import UnitOfWork
from shared_events.writes import over_rows

TABLE = "CREATE TABLE IF NOT EXISTS points (customer_id uuid PRIMARY KEY, points bigint NOT NULL)"

_ADD = over_rows(
    "customer_id uuid, points bigint",
    """
    INSERT INTO points SELECT * FROM {rows}
    ON CONFLICT (customer_id) DO UPDATE SET points = points.points + excluded.points
""",
)


class LoyaltyWork(UnitOfWork):
    """The points earned in one transaction."""

    service = "loyalty"

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.points: Counter[UUID] = Counter()

    def lock(self, messages: Sequence[Message]) -> None:
        """Lock nothing: `flush` adds to whatever is there."""

    def flush(self) -> None:
        """Add the points, always in the same order of customers, so that no two batches deadlock."""
        earned = [{"customer_id": each, "points": self.points[each]} for each in sorted(self.points)]
        self.write(_ADD, earned)
