"""The Celery app that Flower looks through: `celery -A shared_events.flower flower`.

Each message of an order makes two events, so how Flower reads them is a part of what an order costs.
"""

import gc

import msgspec
from celery import Celery
from kombu.serialization import register
from kombu.utils import json

app = Celery("flower")

register(  # type: ignore[no-untyped-call]
    "json", json.dumps, msgspec.json.decode, content_type="application/json", content_encoding="utf-8"
)
# What Flower remembers lives long: to look through all of it for garbage was much of its work.
gc.freeze()
gc.set_threshold(50_000, 50, 100)
