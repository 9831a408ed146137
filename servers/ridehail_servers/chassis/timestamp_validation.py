"""Detects timestamps whose nanoseconds are not within a second.

A `google.protobuf.Timestamp` can hold such a number. Rules of contracts do not see it: they are given the time that
seconds and nanoseconds add up to. Python refuses to read it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from ridehail_kernel.field_violation import FieldViolation

from .message_walk import messages_in, types_in

RULE = "timestamp.nanos"

_NANOS_PER_SECOND = 1_000_000_000


def malformed_timestamps(message: Message, path: str = "") -> Iterator[FieldViolation]:
    """Yields a violation for each malformed Timestamp in a message at a path."""
    if not _may_hold_timestamps(message.DESCRIPTOR):
        return
    if isinstance(message, Timestamp):
        if not 0 <= message.nanos < _NANOS_PER_SECOND:
            yield FieldViolation(path, "must have nanos of 0 to 999999999", RULE)
        return
    for name, part in messages_in(message):
        yield from malformed_timestamps(part, f"{path}.{name}" if path else name)


@cache
def _may_hold_timestamps(descriptor: Descriptor) -> bool:
    """Most types of messages cannot, and are not looked into."""
    return any(kind.full_name == Timestamp.DESCRIPTOR.full_name for kind in types_in(descriptor))
