"""Conversions of single fields between messages and Python's values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping, MutableSequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

import grpc
from google.protobuf.descriptor import Descriptor
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from ridehail_kernel.json_values import JsonInput, JsonObject, JsonValue, from_list, from_struct, from_value, to_struct
from ridehail_kernel.service_error import ServiceError

Word = TypeVar("Word", bound=StrEnum)
Parsed = TypeVar("Parsed", bound=Message)


def to_timestamp(name: str, time: datetime) -> Timestamp:
    """Returns a timestamp as protobuf holds it.

    Raises:
        ValueError: The time of the argument `name` is naive: which time it means would depend on the machine.
    """
    if time.utcoffset() is None:
        raise ValueError(f"{name} must be an aware datetime, such as datetime.now(UTC)")
    timestamp = Timestamp()
    timestamp.FromDatetime(time)
    return timestamp


def from_timestamp(timestamp: Timestamp) -> datetime:
    """Returns a timestamp as an aware datetime in UTC.

    Raises:
        ServiceError: It is out of range.
    """
    try:
        return timestamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise _unreadable("a timestamp that is out of range") from error


def to_strings(name: str, values: Iterable[str]) -> list[str]:
    """Returns the strings as a list.

    Raises:
        TypeError: One string was given as the argument `name`: its letters would be taken for the strings.
    """
    if isinstance(values, str):
        raise TypeError(f"{name} must be several strings, not one")
    return list(values)


def known(words: type[Word], text: str) -> Word:
    """Returns the value of an enum.

    Raises:
        ServiceError: The enum has no such value.
    """
    try:
        return words(text)
    except ValueError as error:
        raise _unreadable(f"a {words.__name__} that the contract does not know: {text!r}") from error


def parsed(value: Value, message: Parsed) -> Parsed:
    """Fills an empty message from its JSON; members that the message does not have are ignored.

    Raises:
        ServiceError: The value is no object, or a member is not what the message has.
    """
    name = type(message).__name__
    if not value.HasField("struct_value"):
        raise _unreadable(f"a {name} that cannot be read: it is no object")
    try:
        return ParseDict(from_struct(value.struct_value), message, ignore_unknown_fields=True)
    except ParseError as error:
        raise _unreadable(f"a {name} that cannot be read: {error}") from error


def from_open_struct(struct: Struct, message: Parsed) -> tuple[Parsed, JsonObject]:
    """Fills an empty message from its JSON; returns it with the object's further members.

    Raises:
        ServiceError: A member is not what the message has.
    """
    members, names = from_struct(struct), message.DESCRIPTOR.fields_by_name
    try:
        ParseDict({name: value for name, value in members.items() if name in names}, message)
    except ParseError as error:
        raise _unreadable(f"a {type(message).__name__} that cannot be read: {error}") from error
    return message, {name: value for name, value in members.items() if name not in names}


def to_open_struct(message: Message, other: Mapping[str, JsonInput], *, reserved: Descriptor) -> Struct:
    """Returns a message and further members as one object.

    Raises:
        ValueError: A further member has the name of a field of the message, or of `reserved`.
    """
    names = {*message.DESCRIPTOR.fields_by_name, *reserved.fields_by_name}
    if taken := sorted(names & other.keys()):
        raise ValueError(f"a further member of an order must not be named {taken[0]}")
    return to_struct({**other, **to_json(message)})


def to_json(message: Message) -> JsonObject:
    """Returns a message as JSON, without absent fields; 64-bit numbers are numbers, unlike in protobuf's own JSON."""
    fields = [one for one in message.DESCRIPTOR.fields if not one.has_presence or message.HasField(one.name)]
    return {one.name: _to_json(getattr(message, one.name)) for one in fields}


def _to_json(value: Any) -> JsonValue:  # the types of fields have nothing in common
    result: JsonValue = value
    match value:
        case Struct():
            result = from_struct(value)
        case ListValue():
            result = from_list(value)
        case Value():
            result = from_value(value)
        case Message():
            result = to_json(value)
        case MutableMapping():
            result = {name: _to_json(one) for name, one in value.items()}
        case MutableSequence():
            result = [_to_json(one) for one in value]
    return result


def _unreadable(what: str) -> ServiceError:
    return ServiceError(grpc.StatusCode.INTERNAL, message=f"the response has {what}")
