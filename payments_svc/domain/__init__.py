"""What a payment is and how it may change. Pure: no clock, no database, no provider.

A payment never calls the provider. It wants a call (`CallWanted`), somebody claims it under a lease, and the
result is taken only while that lease is the last one. Every method returns what is to be said because of it.
"""

from payments_svc.domain.intent import Call, CallWanted, Intent, Silence
from payments_svc.domain.payment import Payment, Refund, Said, tombstone

__all__ = ["Call", "CallWanted", "Intent", "Payment", "Refund", "Said", "Silence", "tombstone"]
