"""What Customers' API reads from its environment."""

from dataclasses import dataclass

from flask import current_app

from shared_events import environment
from shared_http.settings import HttpSettings

_KEY = "CUSTOMERS"


@dataclass(frozen=True, slots=True)
class Settings:
    """`open_registration`: anyone may register an e-mail address without a token."""

    http: HttpSettings
    open_registration: bool = False

    @classmethod
    def load(cls) -> "Settings":
        """Read the environment. Raises BadSetting, which names the variable."""
        return cls(HttpSettings.load(), environment.flag("ORDERFLOW_OPEN_REGISTRATION", False))

    def as_config(self) -> dict[str, object]:
        """Return it as an entry of the application's configuration."""
        return {_KEY: self}


def open_registration() -> bool:
    """Say whether the running application lets anyone register."""
    settings = current_app.config[_KEY]
    return isinstance(settings, Settings) and settings.open_registration
