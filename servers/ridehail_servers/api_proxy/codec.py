"""Conversions that several features share."""

from __future__ import annotations

from google.protobuf import json_format, struct_pb2
from google.protobuf.message import Message

# Of a header of thousands of characters services take only so many; the preferred languages come first.
_MAX_LOCALE_LENGTH = 256


def to_json_value(message: Message) -> struct_pb2.Value:
    """Returns a message as the gateway prints it: names as in the contract, default values included."""
    json = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return json_format.ParseDict(json, struct_pb2.Value())


def shorten_locale(accept_language: str) -> str:
    """Returns the first languages of the header Accept-Language, none of them cut in two."""
    if len(accept_language) <= _MAX_LOCALE_LENGTH:
        return accept_language
    return accept_language[: _MAX_LOCALE_LENGTH + 1].rpartition(",")[0]
