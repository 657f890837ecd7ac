"""The collector shares the relay's process, and outlives whatever goes wrong in it."""

from threading import Event

from sqlalchemy import create_engine

from shared_events.collector import Collector


class Patient(Event):
    """Is set when it was waited for twice; nobody really waits."""

    waited = 0

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout
        assert timeout >= 1.0
        self.waited += 1
        if self.waited == 2:
            self.set()
        return True


class Unlucky(Collector):
    """Meets what nobody expected."""

    def _consume(self, _stop: Event) -> None:
        raise KeyError("nobody thought of this")


def test_what_nobody_expected_is_waited_out() -> None:
    stop = Patient()

    Unlucky("orders", create_engine("postgresql+psycopg://nowhere"), "amqp://nowhere").run(stop)

    assert stop.waited == 2
