"""The members that JSON bodies may have by the contracts: the gateway reports all others to the services."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

MAX_NAMED: Final = 10
"""Unknown members of a body that are named."""
ANY_NAME: Final = "*"
ANYTHING: Final = ""

JsonMembers = dict[str, dict[str, str]]
"""Message -> name of a member -> the message in it, alone, in a list or in a map, or `ANYTHING` if none."""


def json_members(requests: Iterable[Descriptor]) -> JsonMembers:
    """Returns the members of requests and of the messages in them. Maps are messages with members of any name."""
    found: JsonMembers = {}
    for request in requests:
        _add(request, found)
    return found


def _add(message: Descriptor, found: JsonMembers) -> None:
    if message.full_name in found:
        return
    members = found[message.full_name] = {}
    for field in message.fields:
        kind = _kind(field)
        is_entry = message.GetOptions().map_entry
        for name in {ANY_NAME} if is_entry else {field.name, field.json_name}:
            if not is_entry or field.name == "value":
                members[name] = kind
        if kind != ANYTHING and field.message_type is not None:
            _add(field.message_type, found)


def _kind(field: FieldDescriptor) -> str:
    """Returns the message in a field. Protobuf's own messages have special JSON: a Struct any, a Timestamp a text."""
    message = field.message_type
    return ANYTHING if message is None or message.full_name.startswith("google.") else message.full_name
