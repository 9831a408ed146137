"""Describes a difference without any value of the responses.

Names of members are part of the application's vocabulary, as a rule; one that does not look like it could be a value
itself, so a placeholder takes its place. Hashes are keyed: they distinguish equal values from different ones, no more.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ridehail_kernel.json_values import ABSENT, MaybeValue

from .json_comparison import Difference, Kind, Path, canonical

PLACEHOLDER: Final = "<name>"
# A name that begins with a digit could be an account or a phone.
_PLAIN_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_HASH_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class RedactedDifference:
    """A place where two bodies differ.

    Attributes:
        path: A JSON pointer (RFC 6901) with placeholders for names that are not plain.
        old_type: Type of the old value: object, array, string, number, boolean, null or absent.
        new_type: Type of the new value.
        old_hash: Of the value; empty when absent.
        new_hash: Of the value; empty when absent.
    """

    path: str
    old_type: str
    new_type: str
    old_hash: str
    new_hash: str


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Two responses that differ, without their values; `request_id` is as in the logs."""

    request_id: str
    at: datetime
    kind: Kind
    old_status: int
    new_status: int
    differences: Sequence[RedactedDifference]


def redacted(difference: Difference, key: bytes) -> RedactedDifference:
    """Returns a difference without its values.

    `key` is random and of this process: without it nobody can try values until a hash matches.
    """
    return RedactedDifference(
        path=pointer(tuple(token if isinstance(token, int) else plain(token) for token in difference.path)),
        old_type=type_name(difference.old),
        new_type=type_name(difference.new),
        old_hash=_hash(difference.old, key),
        new_hash=_hash(difference.new, key),
    )


def plain(name: str) -> str:
    """Returns a member's name, or a placeholder if it could be a value."""
    return name if _PLAIN_NAME.fullmatch(name) else PLACEHOLDER


def pointer(path: Path) -> str:
    """Returns a path as a JSON pointer (RFC 6901)."""
    return "".join(f"/{token}" if isinstance(token, int) else f"/{_escaped(token)}" for token in path)


def pattern(path: Path) -> str:
    """Returns a path with `*` for every index and placeholders for names that are not plain."""
    return "".join("/*" if isinstance(token, int) else f"/{plain(token)}" for token in path)


def type_name(value: MaybeValue) -> str:
    """Returns a value's type in the words of JSON."""
    if value is ABSENT:
        return "absent"
    if value is None:
        return "null"
    return _TYPE_NAMES[type(value)]


_TYPE_NAMES: Final = {
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _hash(value: MaybeValue, key: bytes) -> str:
    if value is ABSENT:
        return ""
    return hashlib.blake2b(canonical(value).encode(), key=key, digest_size=_HASH_BYTES).hexdigest()
