"""The one table of a service that shows who reacts to what."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from shared_events.contract import Contract, Message, contract_of


@dataclass(frozen=True, slots=True)
class Later:
    """A message that waits in the outbox for `after_s` seconds: a durable timer. `key` names it for Cancel."""

    message: Message
    after_s: float
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    """Delete the timers that wait under `key`."""

    key: str


Output = Message | Later | Cancel
Run = Callable[[Any, Any], Message | Iterable[Output] | None]
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Handler:
    """One row of the table: a function from a message to messages."""

    contract: Contract
    run: Run

    def __call__(self, message: Message, work: Any) -> tuple[Output, ...]:
        """Run it and return what it says as a tuple."""
        said = self.run(message, work)
        if said is None:
            return ()
        if isinstance(said, Message | Later | Cancel):
            return (said,)
        return tuple(said)


class Handlers:
    """The handlers of one service, by message type. Its queue is bound to exactly these types."""

    def __init__(self, service: str) -> None:
        self.service = service
        self._table: dict[str, Handler] = {}

    def on(self, *messages: type[Message]) -> Callable[[F], F]:
        """Register a function for these messages."""

        def register(run: F) -> F:
            for message in messages:
                its = contract_of(message)
                if its.type in self._table:
                    raise ValueError(f"{self.service} handles {its.type} twice")
                self._table[its.type] = Handler(its, run)
            return run

        return register

    def get(self, message_type: str) -> Handler | None:
        """Return the handler of a type, or None."""
        return self._table.get(message_type)

    def __iter__(self) -> Iterator[Handler]:
        return iter(self._table.values())

    def __contains__(self, message_type: str) -> bool:
        return message_type in self._table
