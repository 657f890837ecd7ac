"""Every mechanism that the trials take out, each with the smallest edit that does it.

Short texts, so that they survive changes nearby; tests/house/test_removals.py says when one no longer applies.
"""

from tests.removals.of_messaging import OF_MESSAGING
from tests.removals.of_services import OF_SERVICES

REMOVALS = (*OF_MESSAGING, *OF_SERVICES)
