"""The members that JSON bodies may have, by the contracts: the gateway tells services of all others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

MAX_NAMED: Final = 10
"""How many unknown members of a body are named at most."""
ANY_NAME: Final = "*"
ANYTHING: Final = ""

JsonMembers = dict[str, dict[str, str]]
"""Message -> name of a member -> the message in it, alone, in a list or in a map; `ANYTHING`: none of the suite."""


def json_members(requests: Iterable[Descriptor]) -> JsonMembers:
    """Returns the members of requests and of the messages in them. Maps are messages with members of any name.

    Args:
        requests: What bodies become.
    """
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
    """Messages of protobuf's own have JSON of their own: a Struct any, a Timestamp a text."""
    message = field.message_type
    return ANYTHING if message is None or message.full_name.startswith("google.") else message.full_name
