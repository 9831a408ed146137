"""The largest requests that contracts allow, built from descriptors, rules and limits: new methods are covered too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp
from protovalidate import Validator

from ridehail._third_party.buf.validate import validate_pb2
from ridehail.common.v1 import rules_pb2
from ridehail_kernel.json_values import JsonInput, to_list, to_struct, to_value
from ridehail_servers.chassis.request_limits import RequestLimits, check_bytes, check_values, rules_view

# Of lists and maps that have no limit of their own.
_DEFAULT_ITEMS = 20
_MAX_LENGTH = 256

Shape = Callable[[int], JsonInput]
SHAPES: dict[str, Shape] = {
    "numbers": lambda size: [0.5] * size,
    "names": lambda size: {f"n{number}": True for number in range(size)},
    "objects": lambda size: [{}] * size,
    "one text": lambda size: "\u20ac" * size * 100,
}
"""JSON of so many values, of each kind that costs something else."""


@dataclass(frozen=True)
class LargestRequest:
    """The largest request that the contract allows, and what is large in it."""

    kind: str
    request: Message


def largest_requests(method: MethodDescriptor) -> Iterator[LargestRequest]:
    """Yields requests of a method that just fit its limits: of many parts, and of few with large JSON in them."""
    limits = RequestLimits.of(method)

    def load(builder: _Builder) -> float:
        return _load(builder.message(method.input_type), limits)

    @cache
    def largest_share(letter: str) -> float:
        return _maximum(lambda percent: load(_Builder(percent / 100, 0, SHAPES["numbers"], letter)), 100) / 100

    def fitting(name: str, shape: Shape, letter: str, *, share: float) -> LargestRequest:
        size = 0
        if holds_json(method.input_type):
            size = _maximum(lambda size: load(_Builder(share, size, shape, letter)), limits.max_values)
        request = _Builder(share, size, shape, letter).message(method.input_type)
        _check_limits(request, limits)
        _check_rules(request)
        return LargestRequest(name, request)

    if holds_json(method.input_type):
        yield fitting("many objects", SHAPES["objects"], "x", share=largest_share("x"))
        for name, shape in SHAPES.items():
            yield fitting(f"few {name}", shape, "x", share=0)
    for name, letter in {"letters": "x", "signs": "\u20ac"}.items():
        yield fitting(name, SHAPES["numbers"], letter, share=largest_share(letter))


def _maximum(load: Callable[[int], float], limit: int) -> int:
    """Returns, to a fiftieth of the load, the largest number up to a limit whose load is at most 1, or else 0.

    What is large takes long to make, so each guess continues the line through the two before.
    """
    before, last = (0, load(0)), (min(16, limit), load(min(16, limit)))
    low, high, carried = 0, limit, before[1]
    while True:
        number, of = last
        if of <= 1:
            low, carried = max((low, carried), last)
        else:
            high = min(high, number - 1)
        if low >= high or carried >= 1 - 1 / 50:
            return low
        rise = (of - before[1]) / (number - before[0])
        guess = number + int((1 - of) / rise) if rise > 0 else high
        if not low < guess <= high:
            guess = (low + high + 1) // 2
        before, last = last, (guess, load(guess))


def _load(request: Message, limits: RequestLimits) -> float:
    """Returns which part of a limit a request needs, of the limit that it is closest to."""
    return max(len(request.SerializeToString()) / limits.max_bytes, _values(request) / limits.max_values)


def _values(message: Message) -> int:
    values = 0
    for field, value in message.ListFields():
        if not field.is_repeated:
            parts = [value] if field.message_type is not None else []
            values += field.message_type is not None and field.message_type.full_name == Value.DESCRIPTOR.full_name
        else:
            values += len(value)
            inner = field.message_type
            if inner is not None and inner.GetOptions().map_entry:
                is_message = inner.fields_by_name["value"].message_type is not None
                parts = value.values() if is_message else []
            else:
                parts = value if inner is not None else []
        values += sum(map(_values, parts))
    return values


def _check_limits(request: Message, limits: RequestLimits) -> None:
    check_bytes(request.SerializeToString(), limits)
    for _step in check_values(request, limits):
        pass


_VALIDATOR = Validator()


def _check_rules(request: Message) -> None:
    broken = _VALIDATOR.collect_violations(rules_view(type(request)).FromString(request.SerializeToString()))
    assert not broken, f"the builder breaks {broken[0].proto}"


def typical_request(descriptor: Descriptor) -> Message:
    """Returns a request that keeps its rules: every field is there, every list and map has as little as it may have."""
    request: Message = _Builder(0, 1, SHAPES["names"], "x").message(descriptor)
    return request


def request_with_json(method: MethodDescriptor, json: Struct) -> Message:
    """Returns a request of a method that holds this object wherever it can hold JSON."""
    request: Message = _Builder(0, 0, SHAPES["numbers"], "x", json=json).message(method.input_type)
    return request


def holds_json(descriptor: Descriptor) -> bool:
    """Returns whether messages of a type can hold JSON."""
    return rules_view(GetMessageClass(descriptor)).DESCRIPTOR is not descriptor


class _Builder:
    """Builds messages: each list and map has a share of what its rule allows, each JSON has `size` values."""

    def __init__(self, share: float, size: int, shape: Shape, letter: str, *, json: Struct | None = None) -> None:
        self._share = share
        self._size = size
        self._shape = shape
        self._letter = letter
        self._given = json
        self._numbers = count(1)

    def message(self, descriptor: Descriptor) -> Any:
        if descriptor.full_name == Timestamp.DESCRIPTOR.full_name:
            return Timestamp(seconds=1_700_000_000 + next(self._numbers))
        if descriptor.file.name == Struct.DESCRIPTOR.file.name:
            return self._json(descriptor)
        return GetMessageClass(descriptor)(
            **{
                field.name: self._value(field)
                for field in descriptor.fields
                if not (field.containing_oneof and field.containing_oneof.fields[0] is not field)
            }
        )

    def _json(self, descriptor: Descriptor) -> Message:
        if self._given is not None:
            inner = Value(struct_value=self._given)
            kinds = {"Struct": self._given, "Value": inner, "ListValue": ListValue(values=[inner])}
            return kinds[descriptor.name]
        value = self._shape(self._size)
        if descriptor.name == "Struct":
            # As launch wants them; other services take any members.
            members: dict[str, JsonInput] = {"orderid": self._text(10), "service": "taxi", "details": {"a": value}}
            return to_struct(members)
        return to_list([value]) if descriptor.name == "ListValue" else to_value(value)

    def _value(self, field: FieldDescriptor) -> Any:  # of the field's type
        rules: Any = field.GetOptions().Extensions[validate_pb2.field]
        if not field.is_repeated:
            return self._one(field, rules)
        entry = field.message_type
        if entry is not None and entry.GetOptions().map_entry:
            size = self._share_of(rules.map.max_pairs, 0)
            keys, values = entry.fields_by_name["key"], entry.fields_by_name["value"]
            return {self._one(keys, rules.map.keys): self._one(values, rules.map.values) for _ in range(size)}
        size = self._share_of(rules.repeated.max_items, rules.repeated.min_items)
        return [self._one(field, rules.repeated.items) for _ in range(size)]

    def _share_of(self, maximum: int, minimum: int) -> int:
        return max(minimum, 1, int((maximum or _DEFAULT_ITEMS) * self._share))

    def _one(self, field: FieldDescriptor, rules: Any) -> Any:  # of the field's type
        if field.message_type is not None:
            return self.message(field.message_type)
        if field.type == FieldDescriptor.TYPE_BOOL:
            return True
        if field.type == FieldDescriptor.TYPE_STRING:
            return self._string(rules.string)
        if field.type == FieldDescriptor.TYPE_ENUM:
            assert field.enum_type is not None
            return field.enum_type.values[-1].number
        number = rules.int32 if field.type == FieldDescriptor.TYPE_INT32 else rules.int64
        return number.lte if number.HasField("lte") else 1

    def _string(self, rules: Any) -> str:
        choices = getattr(rules, "in")
        if choices:
            return str(max(choices, key=len))
        if rules.pattern:
            if "A-Z" in rules.pattern:
                return self._text(rules.max_len, "x")
            return self._text(18, "9") if "[1-9]" in rules.pattern else self._text(rules.max_len or 128)
        if rules.Extensions[rules_pb2.field_path]:
            return self._text(64, "x")
        # Ids and texts that people write.
        is_short = any(field.is_extension for field, _value in rules.ListFields())
        maximum = 128 if is_short else rules.max_len or _MAX_LENGTH
        return self._text(maximum)

    def _text(self, length: int, letter: str = "") -> str:
        number = str(next(self._numbers))
        return (letter or self._letter) * (length - len(number)) + number
