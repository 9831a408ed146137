"""What a request has that its contract does not know: a misspelt name, or a field of a newer release.

Writes of services are refused for it: what was meant would be lost without a word. Apps live longer than releases, and
reads lose nothing, so of those it is only counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet
from prometheus_client import Counter

from ridehail_kernel.field_violation import FieldViolation

from .message_walk import messages_in

UNKNOWN_MEMBERS_KEY: Final = "x-ya-unknown-members"
"""The header by which the gateway names the members of a JSON body that the transcoder drops, joined by commas."""
UNKNOWN_FIELDS: Final = Counter(
    "ridehail_unknown_fields",
    "Requests with fields that the contract does not know, by what became of them: refused or ignored.",
    ("grpc_method", "outcome"),
)
_MAX_NAMED: Final = 10


def discard_unknown(request: Message, metadata: Mapping[str, str], encoded: bytes) -> list[FieldViolation]:
    """Discards what a request, decoded from `encoded`, has that its contract does not know; returns the first fields.

    A JSON member is named by its path, a field of protobuf by its number in place of its name.
    """
    names = [name for name in metadata.get(UNKNOWN_MEMBERS_KEY, "").split(",") if name]
    size = request.ByteSize()
    request.DiscardUnknownFields()
    if request.ByteSize() != size:
        names += islice(_numbers(type(request).FromString(encoded), ""), _MAX_NAMED)
    return [FieldViolation(name, "must be a field of the contract", "message.unknown_field") for name in names]


def _numbers(message: Message, prefix: str) -> Iterator[str]:
    for unknown in UnknownFieldSet(message):  # type: ignore[attr-defined]  # iterable, whatever its stub says
        yield f"{prefix}{unknown.field_number}"
    for name, part in messages_in(message):
        yield from _numbers(part, f"{prefix}{name}.")
