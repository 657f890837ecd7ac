"""Bad days of the provider, made from outside for a while: `POST /weather`, from this machine only."""

import time
from enum import Enum

import msgspec

LONGEST_S = 600.0


class Kind(Enum):
    """What the provider is like."""

    FAIR = "fair"
    TIMEOUTS = "timeouts"
    """Calls take effect, and their answers never come. Questions about them are answered."""
    ERRORS = "5xx"
    """Every request is answered 503, and has no effect."""
    SLOW = "slow"
    """Every answer takes `slow_s`."""


class Forecast(msgspec.Struct):
    """Body of POST /weather: a kind and for how long; then it is fair again, whoever asked for it."""

    kind: Kind
    seconds: float = 60.0
    slow_s: float = 2.0


class Weather:
    """What it is like now."""

    def __init__(self) -> None:
        self._now = Forecast(Kind.FAIR)
        self._until = 0.0

    def become(self, forecast: Forecast) -> None:
        """Change, at once."""
        self._now = forecast
        self._until = time.monotonic() + min(forecast.seconds, LONGEST_S)

    @property
    def now(self) -> Forecast:
        """What it is like."""
        return self._now if time.monotonic() < self._until else Forecast(Kind.FAIR)
