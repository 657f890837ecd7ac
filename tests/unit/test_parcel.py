"""Messages on the wire: byte by byte what py-amqp writes, and never half a message."""

from types import SimpleNamespace
from typing import Any

import amqp
import pytest
from amqp import spec
from amqp.method_framing import frame_writer
from amqp.serialization import dumps
from hypothesis import given
from hypothesis import strategies as st

from shared_events.parcel import Parcel, Unspeakable

_FRAME_MAX = 4096
_names: st.SearchStrategy[Any] = st.text(max_size=60) | st.binary(max_size=60)
_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.text(max_size=400)
    | st.binary(max_size=40)
    | st.integers(min_value=-(2**63), max_value=2**63 - 1)
    | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3),
    max_leaves=5,
)


def as_py_amqp_writes(parcel: Parcel) -> bytes:
    written: list[bytes] = []
    write = frame_writer(
        SimpleNamespace(frame_max=_FRAME_MAX, bytes_sent=0),
        SimpleNamespace(write=lambda part: written.append(bytes(part))),
    )
    message = amqp.Message(
        parcel.body,
        application_headers=parcel.headers,
        content_type=parcel.content_type,
        content_encoding=parcel.content_encoding,
        delivery_mode=2,
        message_id=parcel.id,
        correlation_id=parcel.id,
        user_id="orders",
    )
    where = (0, parcel.exchange, parcel.routing_key, parcel.mandatory, False)
    write(1, 7, spec.Basic.Publish, dumps("Bssbb", where), message)
    return b"".join(written)


@given(
    exchange=_names,
    routing_key=_names,
    body=st.binary(max_size=100) | st.integers(0, 3 * _FRAME_MAX).map(bytes),
    headers=st.dictionaries(_names, _values, max_size=6),
    mandatory=st.booleans(),
)
def test_its_frames_are_those_of_py_amqp(
    exchange: Any, routing_key: Any, body: bytes, headers: dict[Any, Any], mandatory: bool
) -> None:
    parcel = Parcel("an-id", exchange, routing_key, body, headers, mandatory=mandatory)

    assert parcel.frames(user="orders", channel=7, frame_max=_FRAME_MAX) == as_py_amqp_writes(parcel)


@pytest.mark.parametrize(
    "parcel",
    [
        Parcel("an-id", "messages", "r" * 256, b"", {}),
        Parcel("an-id", "messages", "key", b"", {"n" * 256: "text"}),
        Parcel("an-id", "messages", "key", b"", {"n" * 256: 0.5}),
        Parcel("an-id", "messages", "key", b"", {"too large": 2**63}),
        Parcel("an-id", "messages", "key", b"", {"unknown": object()}),
    ],
    ids=lambda parcel: str(parcel.headers)[:30] + parcel.routing_key[:5],
)
def test_what_amqp_cannot_say_is_refused(parcel: Parcel) -> None:
    with pytest.raises(Unspeakable):
        parcel.frames(user="orders", channel=7, frame_max=_FRAME_MAX)
