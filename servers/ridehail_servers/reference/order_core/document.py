"""What an order document is, and how its fields are read.

A document is a JSON object. Its field `order.version` is a whole number, 0 or more, that every update raises: it tells
whether anything has changed. Nothing here changes what it is given; results share with their sources what stays as it
was.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto
from typing import Final, Literal, TypeAlias, TypeGuard

from ridehail_kernel.field_violation import FieldViolation
from ridehail_kernel.json_values import MAX_SAFE_INTEGER, JsonObject, JsonValue
from ridehail_servers.chassis.errors import InvalidRequest
from ridehail_servers.chassis.json_limits import count_values
from ridehail_servers.chassis.json_text import size_bytes

VERSION: Final = "order.version"
FIRST_VERSION: Final = 1
LARGEST_BYTES: Final = 1024 * 1024
"""Of a document as JSON. Without a limit, updates could make one that is larger than an answer may be."""
MAX_VALUES: Final = 5000
"""Members and elements of a document in all: so many are read and written without making other calls wait."""
FINAL_STATUSES: Final = ("cancelled", "complete", "expired", "failed", "finished")
"""The values of `order.status` that end an order; an order with any other status, or with none, is active. The index
`orders_active_idx` is made for exactly these, so a change here needs a migration."""


class Absence(Enum):
    """The type of `ABSENT`, which stands for a field that a document does not have. Null is a value."""

    ABSENT = auto()


ABSENT: Final = Absence.ABSENT
MaybeValue: TypeAlias = "JsonValue | Literal[Absence.ABSENT]"


def value_at(document: JsonObject, path: str) -> MaybeValue:
    """Returns the value of a field; ABSENT when the document does not have it.

    Args:
        document: The document.
        path: Names joined by dots. It does not reach into arrays.
    """
    value: JsonValue = document
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            return ABSENT
        value = value[name]
    return value


def text_at(document: JsonObject, path: str) -> str:
    """Returns the text of a field; empty when the document does not have it or it is no text.

    Args:
        document: The document.
        path: Of the field.
    """
    value = value_at(document, path)
    return value if isinstance(value, str) else ""


def version_of(document: JsonObject) -> int:
    """Returns the version of a stored document.

    Args:
        document: As `new_document` or an update made it.
    """
    version = value_at(document, VERSION)
    assert is_whole(version), "every stored document has a version"
    return version


def select(document: JsonObject, paths: Iterable[str]) -> JsonObject:
    """Returns those of the fields that the document has, nested as they are in it.

    Args:
        document: The document.
        paths: Of the fields; one may be a part of another.
    """
    selected: JsonObject = {}
    # Parts come before the whole, which then takes their place: so what is filled in here is never the document's own.
    for path in sorted(paths, key=len, reverse=True):
        value = value_at(document, path)
        if value is ABSENT:
            continue
        *way, last = path.split(".")
        parent = selected
        for name in way:
            child = parent.setdefault(name, {})
            assert isinstance(child, dict)
            parent = child
        parent[last] = value
    return selected


def new_document(given: JsonObject) -> JsonObject:
    """Returns a document as it is stored first: with `order.version` 1, if it has none of its own.

    Args:
        given: The request's field `document`.

    Raises:
        InvalidRequest: `order.version` is no whole number, 0 or more.
    """
    violations = []
    order = given.get("order", {})
    version = order.get("version", FIRST_VERSION) if isinstance(order, dict) else None
    if not isinstance(order, dict):
        violations.append(FieldViolation('document["order"]', "must be an object", "put_order.version"))
    elif not is_whole(version) or version < 0:
        place = 'document["order"]["version"]'
        violations.append(FieldViolation(place, "must be a whole number, 0 or more", "put_order.version"))
    if violations:
        raise InvalidRequest(violations)
    assert isinstance(order, dict)
    return {**given, "order": {**order, "version": version}}


def check_size(document: JsonObject) -> None:
    """Refuses a document that is too large to be stored.

    Args:
        document: As it would be stored.

    Raises:
        InvalidRequest: It is larger than LARGEST_BYTES or MAX_VALUES.
    """
    if size_bytes(document) > LARGEST_BYTES or count_values(document) > MAX_VALUES:
        description = f"must leave a document of at most 1 MiB of JSON and {MAX_VALUES} values"
        raise InvalidRequest([FieldViolation("", description, "document.size")])


def is_whole(value: MaybeValue) -> TypeGuard[int]:
    """Tells whether a value is a whole number that can be counted on.

    Args:
        value: Of a field.
    """
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_SAFE_INTEGER
