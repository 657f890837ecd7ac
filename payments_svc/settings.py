"""What Payments reads from its environment, beyond what every service reads."""

from payments_svc import provider
from shared_events import environment

_DEFAULT_PROVIDER = "payments_svc.simulator_provider:SimulatorProvider"


def payment_provider() -> provider.Provider:
    """Return the provider that ORDERFLOW_PAYMENT_PROVIDER names. Raises BadSetting."""
    path = environment.text("ORDERFLOW_PAYMENT_PROVIDER", _DEFAULT_PROVIDER)
    try:
        return provider.load(path)
    except ValueError as error:
        raise environment.BadSetting(f"ORDERFLOW_PAYMENT_PROVIDER: {error}") from error
