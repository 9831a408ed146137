"""Changes of messages: one field gets a value near the edge of a rule of its contract."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from ridehail._third_party.buf.validate import validate_pb2

Change = Callable[[Any], object]
"""Changes a message, whatever its type."""

LENGTHS = (127, 128, 129, 256, 257, 512, 513)
# Printable or not, visible or not, of one byte or of several.
LETTERS = "\n\t\0 \x7f\xa0й\u200b\u200d\u2028\u3000\ue000\ufdd0\ufffc\U0001f695"
TEXTS = (
    "",
    *(letter * length for letter in "xй" for length in LENGTHS),
    *(text for letter in LETTERS for text in (letter, f"a{letter}", f"1{letter}")),
    *("0", "01", "1" * 18, "1" * 19, "a.b", ".a", "a.", "a..b", "$-_", "x" * 64 + ".a", "x" * 65 + ".a"),
)
NUMBERS = (-(2**31), -1, 0, 1, 2**31 - 1)
NOW = int(time.time())
SECONDS = (-62135596801, -62135596800, -1, 0, NOW, NOW + 60, NOW + 600, 253402300799, 253402300800)
NANOS = (-1, 0, 1, 999, 1000, 999_999_000, 999_999_999, 1_000_000_000)
# Of a list or a map without a limit of its own.
MANY = 20


def changes(of: Descriptor, texts: Sequence[str] = TEXTS) -> Iterator[Change]:
    """Yields changes of a message: each gives one field a value near the edge of a rule."""
    if of.full_name == Timestamp.DESCRIPTOR.full_name:
        yield from (partial(assign, field="seconds", value=value) for value in SECONDS)
        yield from (partial(assign, field="nanos", value=value) for value in NANOS)
    if not of.full_name.startswith("ridehail."):
        return  # JSON: the rules do not look into it
    for field in of.fields:
        name, inner, rules = field.name, field.message_type, stated(field)
        yield partial(clear, field=name)
        if not field.is_repeated:
            yield from (partial(assign, field=name, value=value) for value in edges(field, rules, texts))
            if inner is not None:
                yield partial(empty, field=name)
                yield from (partial(inside, field=name, change=change) for change in changes(inner, texts))
        elif is_map(field):
            assert inner is not None
            key, value = inner.fields
            most = rules.map.max_pairs or MANY
            yield from (partial(fill_map, field=name, size=size) for size in (most, most + 1))
            yield from (partial(add_key, field=name, key=one) for one in edges(key, rules.map.keys, texts))
            yield from (partial(set_values, field=name, value=one) for one in edges(value, rules.map.values, texts))
            if value.message_type is not None:
                yield from (partial(inside_last, field=name, change=one) for one in changes(value.message_type, texts))
        else:
            most = rules.repeated.max_items or MANY
            yield from (partial(fill_list, field=name, size=size) for size in (most, most + 1))
            yield from (partial(append, field=name, value=one) for one in edges(field, rules.repeated.items, texts))
            if inner is not None:
                yield from (partial(inside_last, field=name, change=change) for change in changes(inner, texts))


def edges(field: FieldDescriptor, rules: Any, texts: Sequence[str]) -> Iterator[object]:  # rules have no common type
    """Yields values of a field near the edges of its rules, and some beyond."""
    if field.type == FieldDescriptor.TYPE_STRING:
        yield from texts
        yield from (text for one in getattr(rules.string, "in") for text in (one, one.upper(), f"{one} "))
    elif field.type == FieldDescriptor.TYPE_BOOL:
        yield from (False, True)
    elif field.type != FieldDescriptor.TYPE_MESSAGE:
        bounds = [bound for kind in (rules.int32, rules.int64) for _rule, bound in kind.ListFields()]
        yield from {*NUMBERS, *(bound + step for bound in bounds for step in (-1, 0, 1))}


def stated(field: FieldDescriptor) -> Any:  # as above
    return field.GetOptions().Extensions[validate_pb2.field]


def is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def clear(message: Any, *, field: str) -> None:
    message.ClearField(field)


def empty(message: Any, *, field: str) -> None:
    message.ClearField(field)
    getattr(message, field).SetInParent()


def assign(message: Any, *, field: str, value: object) -> None:
    setattr(message, field, value)


def inside(message: Any, *, field: str, change: Change) -> None:
    change(getattr(message, field))


def inside_last(message: Any, *, field: str, change: Change) -> None:
    values = getattr(message, field)
    for one in list(values)[-1:]:
        change(one if isinstance(one, Message) else values[one])


def append(message: Any, *, field: str, value: object) -> None:
    getattr(message, field).append(value)


def fill_list(message: Any, *, field: str, size: int) -> None:
    values = getattr(message, field)
    values.extend([*values[:1]] * (size - len(values)))


def fill_map(message: Any, *, field: str, size: int) -> None:
    for number in range(size - len(getattr(message, field))):
        add_key(message, field=field, key=f"another{number}")


def add_key(message: Any, *, field: str, key: Any) -> None:
    values = getattr(message, field)
    for first in list(values)[:1]:
        if isinstance(values[first], Message):
            values[key].CopyFrom(values[first])
        else:
            values[key] = values[first]


def set_values(message: Any, *, field: str, value: object) -> None:
    values = getattr(message, field)
    for key in list(values):
        values[key] = value
