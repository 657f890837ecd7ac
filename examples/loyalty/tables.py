"""Points by customer: the only file that knows columns."""

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection

from shared_events.contract import Message
from shared_events.work import UnitOfWork

TABLE = "CREATE TABLE IF NOT EXISTS points (customer_id uuid PRIMARY KEY, points bigint NOT NULL)"

_ADD = """
    INSERT INTO points SELECT * FROM unnest(%(customers)s::uuid[], %(points)s::bigint[])
    ON CONFLICT (customer_id) DO UPDATE SET points = points.points + excluded.points
"""


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
        if customers := sorted(self.points):
            earned = [self.points[each] for each in customers]
            self.write(_ADD, {"customers": customers, "points": earned})
