"""How large requests may be, and what their JSON may hold: judged before anything else walks through them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from operator import attrgetter, methodcaller
from typing import Any, Final, NamedTuple

from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.struct_pb2 import ListValue, Struct, Value

from ridehail.common.v1 import options_pb2
from ridehail_kernel.field_violation import FieldViolation
from ridehail_kernel.json_values import JsonValue, from_list, from_struct, from_value, is_exact

from .errors import InvalidRequest
from .json_limits import MAX_DEPTH, unfit_values
from .message_walk import types_in

Json = Struct | Value | ListValue
Counter = Callable[[Any], int]
"""Counts the values of a message."""

DEFAULT_MAX_BYTES: Final = 256 * 1024
DEFAULT_MAX_VALUES: Final = 2000

_STRUCT_FILE: Final = Struct.DESCRIPTOR.file.name
_JSON_TYPES: Final = frozenset(kind.DESCRIPTOR.full_name for kind in (Struct, Value, ListValue))
# Values that are walked through without a pause: about a millisecond's worth.
_STRIDE: Final = 500
_MAX_VIOLATIONS: Final = 10


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """How large an encoded request may be, and how many values it may hold.

    Values are elements of lists, entries of maps, and members and elements of JSON.
    """

    max_bytes: int = DEFAULT_MAX_BYTES
    max_values: int = DEFAULT_MAX_VALUES

    @classmethod
    def of(cls, method: MethodDescriptor) -> RequestLimits:
        stated = method.GetOptions().Extensions[options_pb2.request_limits]
        return cls(stated.max_bytes or DEFAULT_MAX_BYTES, stated.max_values or DEFAULT_MAX_VALUES)


def check_bytes(encoded: bytes, limits: RequestLimits) -> None:
    """Raises `InvalidRequest` if a request is too large to be decoded."""
    if len(encoded) > limits.max_bytes:
        raise InvalidRequest([FieldViolation("", f"must be at most {limits.max_bytes} bytes", "request.bytes")])


def check_values(request: Message, limits: RequestLimits) -> Generator[None, None, list[FieldViolation]]:
    """Counts the values of a request and judges its JSON, in steps of about a millisecond.

    Returns:
        What of its JSON cannot be taken.

    Raises:
        InvalidRequest: It holds too many values. Nothing beyond them was looked at.
    """
    budget = _Budget(limits.max_values)
    broken: list[FieldViolation] = []
    for number, (path, part) in enumerate(_parts(request, ""), start=1):
        if isinstance(part, int):
            budget.spend(part, path)
        else:
            fits = yield from _scan(part.value, part.max_depth, path, budget)
            if not fits:
                found = unfit_values(path, _plain(part.value), max_depth=part.max_depth)
                broken.extend(islice(found, _MAX_VIOLATIONS))
        if not number % _STRIDE:
            yield
    return broken


def value_counter(descriptor: Descriptor, *, json_only: bool) -> Counter:
    """Returns what counts the values of a message, or its JSON only; JSON counts as more than any request may hold.

    The type must not hold itself.
    """
    counters: list[Counter] = []
    for field in _walked_fields(descriptor):
        get: Callable[[Any], Any] = attrgetter(field.name)
        if field.is_map:
            get = _values_of(get)
        within: Counter | None = None
        if field.max_json_depth:
            within = _any_json
        elif field.inner is not None and not (json_only and not may_hold_json(field.inner)):
            within = value_counter(field.inner, json_only=json_only)
        if field.is_repeated and not json_only:
            counters.append(_size(get))
        if within is not None:
            is_there = methodcaller("HasField", field.name)
            counters.append(_of_each(get, within) if field.is_repeated else _of_part(is_there, get, within))
    return counters[0] if len(counters) == 1 else lambda message: sum(count(message) for count in counters)


def _any_json(_json: Json) -> int:
    return sys.maxsize


def _size(get: Callable[[Any], Any]) -> Counter:
    return lambda message: len(get(message))


def _of_each(get: Callable[[Any], Any], within: Counter) -> Counter:
    return lambda message: sum(map(within, get(message)))


def _of_part(is_there: Callable[[Any], bool], get: Callable[[Any], Any], within: Counter) -> Counter:
    return lambda message: within(get(message)) if is_there(message) else 0


def _values_of(get: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda message: get(message).values()


def rules_view(kind: type[Message]) -> type[Message]:
    """Returns a type that decodes the same bytes but leaves JSON unread: rules only look at whether it is there.

    Protovalidate walks through JSON as if its values could have rules, at 2 us for each.
    """
    return _rules_view(kind.DESCRIPTOR) if may_hold_json(kind.DESCRIPTOR) else kind


@cache
def _rules_view(descriptor: Descriptor) -> type[Message]:
    pool = DescriptorPool()
    _add_file(pool, descriptor.file, set())
    return GetMessageClass(pool.FindMessageTypeByName(descriptor.full_name))


def _add_file(pool: DescriptorPool, file: Any, added: set[str]) -> None:  # of a type that protobuf does not export
    if file.name in added:
        return
    added.add(file.name)
    for dependency in file.dependencies:
        _add_file(pool, dependency, added)
    copy = FileDescriptorProto()
    file.CopyToProto(copy)
    if file.name == _STRUCT_FILE:
        for message in copy.message_type:
            for part in ("field", "oneof_decl", "nested_type"):
                message.ClearField(part)
    pool.AddSerializedFile(copy.SerializeToString())


class _Budget:
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._spent = 0

    def spend(self, values: int, path: str) -> None:
        self._spent += values
        if self._spent > self._limit:
            description = f"must leave the request with at most {self._limit} values in all"
            raise InvalidRequest([FieldViolation(path, description, "request.values")])


@dataclass(frozen=True, slots=True)
class _JsonPart:
    value: Json
    max_depth: int


def _parts(message: Message, path: str) -> Iterator[tuple[str, int | _JsonPart]]:
    """Yields the sizes of a message's lists and maps, each before what is in it, and its JSON."""
    for name, is_repeated, is_map, inner, max_json_depth in _walked_fields(message.DESCRIPTOR):
        if not is_repeated and not message.HasField(name):
            continue
        value = getattr(message, name)
        place = f"{path}.{name}" if path else name
        items: Iterable[tuple[str, Any]]
        if not is_repeated:
            items = ((place, value),)
        else:
            yield place, len(value)
            if inner is None:
                continue
            if is_map:
                items = ((f'{place}["{key}"]', value[key]) for key in value)
            else:
                items = ((f"{place}[{index}]", part) for index, part in enumerate(value))
        for where, part in items:
            if max_json_depth:
                yield where, _JsonPart(part, max_json_depth)
            else:
                yield from _parts(part, where)


# Values are judged in place: a call for each would cost as much as the rest.
def _scan(json: Json, max_depth: int, path: str, budget: _Budget) -> Generator[None, None, bool]:  # noqa: C901
    """Counts the values of a JSON, level by level, and returns whether it can be taken."""
    fits, depth = True, 1
    objects: list[Any] = []  # maps and lists of protobuf's own
    arrays: list[Any] = []
    if isinstance(json, Value):
        arrays, depth = [[json]], 0
    elif isinstance(json, Struct):
        objects = [json.fields]
    else:
        arrays = [json.values]
    left = _STRIDE
    while objects or arrays:
        fits = fits and depth <= max_depth
        for names in objects:
            fits = fits and not any("\0" in name for name in names)
        containers = [*(fields.values() for fields in objects), *arrays]
        objects, arrays = [], []
        for values in containers:
            budget.spend(len(values), path)
            for value in values:
                kind = value.WhichOneof("kind")
                if kind == "string_value":
                    fits = fits and "\0" not in value.string_value
                elif kind == "number_value":
                    fits = fits and is_exact(value.number_value)
                elif kind == "struct_value":
                    objects.append(value.struct_value.fields)
                elif kind == "list_value":
                    arrays.append(value.list_value.values)
                left -= 1
                if not left:
                    left = _STRIDE
                    yield
        depth += 1
    return fits


def _plain(json: Json) -> JsonValue:
    if isinstance(json, Value):
        return from_value(json)
    return from_struct(json) if isinstance(json, Struct) else from_list(json)


class _WalkedField(NamedTuple):
    """A field that can hold more than one value.

    Attributes:
        inner: The type of the messages in it, or None if there is nothing to count in them.
        max_json_depth: 0 if they are no JSON.
    """

    name: str
    is_repeated: bool
    is_map: bool
    inner: Descriptor | None
    max_json_depth: int


@cache
def _walked_fields(descriptor: Descriptor) -> Sequence[_WalkedField]:
    fields = []
    for field in descriptor.fields:
        inner = field.message_type
        is_map = inner is not None and inner.GetOptions().map_entry
        if inner is not None and is_map:
            inner = inner.fields_by_name["value"].message_type
        if inner is not None and not _is_walked(inner):
            inner = None
        depth = 0
        if inner is not None and inner.full_name in _JSON_TYPES:
            depth = field.GetOptions().Extensions[options_pb2.max_json_depth] or MAX_DEPTH
        if field.is_repeated or inner is not None:
            fields.append(_WalkedField(field.name, field.is_repeated, is_map, inner, depth))
    return fields


@cache
def _is_walked(descriptor: Descriptor) -> bool:
    """Returns whether a message can hold more values than it has fields."""
    return any(
        kind.full_name in _JSON_TYPES or any(field.is_repeated for field in kind.fields)
        for kind in types_in(descriptor)
    )


@cache
def may_hold_json(descriptor: Descriptor) -> bool:
    return any(kind.full_name in _JSON_TYPES for kind in types_in(descriptor))
