"""Timestamps that are none.

A `google.protobuf.Timestamp` can hold nanoseconds below 0 or of more than a second. Rules of contracts do not see that:
they are given the moment that the two numbers add up to. Python refuses to read it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from ridehail_kernel.field_violation import FieldViolation

RULE = "timestamp.nanos"

_NANOS_PER_SECOND = 1_000_000_000


def malformed_timestamps(message: Message, path: str = "") -> Iterator[FieldViolation]:
    """Yields a violation for each Timestamp in a message whose nanoseconds are not within a second."""
    if not _may_hold_moments(message.DESCRIPTOR):
        return
    if isinstance(message, Timestamp):
        if not 0 <= message.nanos < _NANOS_PER_SECOND:
            yield FieldViolation(path, "must have nanos of 0 to 999999999", RULE)
        return
    for field, value in message.ListFields():
        for name, part in _messages_in(field, value):
            yield from malformed_timestamps(part, f"{path}.{name}" if path else name)


def _messages_in(field: FieldDescriptor, value: object) -> Iterator[tuple[str, Message]]:
    """Yields the messages that a field holds, with their paths."""
    if isinstance(value, Message):
        yield field.name, value
    elif field.message_type is not None and field.message_type.GetOptions().map_entry:
        entries: dict[object, object] = dict(value)  # type: ignore[call-overload]  # protobuf does not tell its type
        for key, part in entries.items():
            if isinstance(part, Message):
                yield f'{field.name}["{key}"]' if isinstance(key, str) else f"{field.name}[{key}]", part
    elif field.message_type is not None:
        parts: list[Message] = list(value)  # type: ignore[call-overload]  # protobuf does not tell its type
        for index, part in enumerate(parts):
            yield f"{field.name}[{index}]", part


@cache
def _may_hold_moments(descriptor: Descriptor) -> bool:
    """Returns whether messages of this type can hold a Timestamp; most cannot, and are not looked into."""
    seen: set[str] = set()
    waiting = [descriptor]
    while waiting:
        kind = waiting.pop()
        if kind.full_name == Timestamp.DESCRIPTOR.full_name:
            return True
        if kind.full_name not in seen:
            seen.add(kind.full_name)
            waiting.extend(field.message_type for field in kind.fields if field.message_type is not None)
    return False
