"""The tables of Payments, and how payments are loaded, locked and saved: the only room that knows columns."""

from payments_svc.tables.columns import INTENTS, METADATA, MIGRATION_HEAD, PAYMENTS, REFUNDS
from payments_svc.tables.work import PaymentsWork

__all__ = ["INTENTS", "METADATA", "MIGRATION_HEAD", "PAYMENTS", "REFUNDS", "PaymentsWork"]
