"""What Inventory's API reads from its environment."""

from dataclasses import dataclass

from shared_http.settings import HttpSettings


@dataclass(frozen=True, slots=True)
class Settings:
    """Inventory has no settings of its own: only what every API has."""

    http: HttpSettings

    @classmethod
    def load(cls) -> "Settings":
        """Read the environment. Raises BadSetting, which names the variable."""
        return cls(HttpSettings.load())
