"""Limits of request bodies, computed from the rules of the requests' fields and from the limits of the methods.

They bound what a valid request can hold, so the gateway need not buffer more than that while a body arrives, nor parse
more once it is there.
"""

from __future__ import annotations

from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from ridehail._third_party.buf.validate import validate_pb2
from ridehail.common.v1 import rules_pb2
from ridehail_servers.chassis.request_limits import RequestLimits

MAX_BODY_BYTES: Final = 256 * 1024
MIN_BODY_BYTES: Final = 16 * 1024
# Of a body that is ignored, since the path and its query hold all of the request.
IGNORED_BODY_BYTES: Final = 1024
# JSON may escape each character, indent, and have members that only newer servers know.
_BYTES_A_CHARACTER: Final = 6
_SLACK: Final = 2
_SCALAR_BYTES: Final = 32
# Quotes, colon and comma around a member's name.
_MEMBER_BYTES: Final = 4
# Characters that a text may have by the rules that the contracts share.
_PREDEFINED: Final = {rules_pb2.id: 128, rules_pb2.written_text: 128, rules_pb2.field_path: 512}
_OPEN: Final = frozenset({"google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue"})
_TEXT_TYPES: Final = frozenset({FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES})
_WELL_KNOWN: Final = "google.protobuf."


def body_limit(request: Descriptor) -> int:
    """Returns how many bytes a request may have, as JSON or as protobuf: a power of two.

    It is MAX_BODY_BYTES if the rules do not bound the message.
    """
    bound = _message_bytes(request, ())
    if bound is None:
        return MAX_BODY_BYTES
    enough = 1 << (_SLACK * bound - 1).bit_length() if bound else 0
    return min(max(enough, MIN_BODY_BYTES), MAX_BODY_BYTES)


def values_limit(method: MethodDescriptor) -> int:
    """Returns how many values a JSON body may have: members, elements, and empty objects and arrays.

    It is twice what a request within the method's limits can have: members that only newer servers know need room.
    """
    most = RequestLimits.of(method).max_values
    # All but the members of messages are values in the sense of those limits.
    return 2 * (most + _members(method.input_type, 1, most, ()))


def _members(message: Descriptor, times: int, most: int, above: tuple[Descriptor, ...]) -> int:
    """Returns the members of so many messages as JSON, and of the messages in them.

    Args:
        message: What the messages are.
        times: How many there are.
        most: The elements that all lists and maps of the request may have.
        above: The messages in which this one is; one that holds itself is counted once.
    """
    if message.full_name.startswith(_WELL_KNOWN) or message in above:
        return 0
    total = times * len(message.fields)
    for field in message.fields:
        inner = field.message_type
        if inner is None:
            continue
        rules = field.GetOptions().Extensions[validate_pb2.field]
        held = times
        if inner.GetOptions().map_entry:
            inner = inner.fields_by_name["value"].message_type
            held = min(most, times * (rules.map.max_pairs or most))
        elif field.is_repeated:
            held = min(most, times * (rules.repeated.max_items or most))
        if inner is not None:
            total += _members(inner, held, most, (*above, message))
    return total


def _message_bytes(message: Descriptor, above: tuple[Descriptor, ...]) -> int | None:
    """Returns the most bytes of a message as JSON, or None if nothing bounds it."""
    if message.full_name in _OPEN or message in above:
        return None
    if message.full_name.startswith(_WELL_KNOWN):
        return _SCALAR_BYTES
    total = _MEMBER_BYTES
    for field in message.fields:
        value = _field_bytes(field, (*above, message))
        if value is None:
            return None
        total += len(field.name) + _MEMBER_BYTES + value
    return total


def _field_bytes(field: FieldDescriptor, above: tuple[Descriptor, ...]) -> int | None:
    rules = field.GetOptions().Extensions[validate_pb2.field]
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        entry = field.message_type.fields_by_name
        key = _value_bytes(entry["key"], rules.map.keys, above)
        value = _value_bytes(entry["value"], rules.map.values, above)
        return _times(rules.map.max_pairs, None if key is None or value is None else key + value)
    if field.is_repeated:
        return _times(rules.repeated.max_items, _value_bytes(field, rules.repeated.items, above))
    return _value_bytes(field, rules, above)


def _times(count: int, each: int | None) -> int | None:
    return None if each is None or not count else count * (each + _MEMBER_BYTES)


def _value_bytes(field: FieldDescriptor, rules: validate_pb2.FieldRules, above: tuple[Descriptor, ...]) -> int | None:
    if field.message_type is not None:
        return _message_bytes(field.message_type, above)
    if field.type not in _TEXT_TYPES:
        return _SCALAR_BYTES if field.enum_type is None else max(len(it.name) for it in field.enum_type.values)
    characters = _max_characters(rules)
    return None if characters is None else _BYTES_A_CHARACTER * characters


def _max_characters(rules: validate_pb2.FieldRules) -> int | None:
    """Returns the most characters of a text, or None if its rules state none."""
    text = rules.string
    stated = [text.max_len, text.max_bytes, text.len, text.len_bytes, rules.bytes.max_len, rules.bytes.len]
    stated += [max(map(len, choices))] if (choices := getattr(text, "in")) else []
    stated += [size for rule, size in _PREDEFINED.items() if text.Extensions[rule]]
    return min(filter(None, stated), default=None)
