"""What an order document is, and how its fields are read.

A document is a JSON object. Its field `order.version` is a whole number, 0 or more, that every update raises: it tells
whether anything has changed. Nothing here changes what it is given; results share with their sources what stays as it
was.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from enum import Enum, auto
from typing import Final, Literal, TypeAlias, TypeGuard

from ridehail_servers.chassis.errors import FieldViolation, InvalidRequest

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
JsonObject: TypeAlias = "dict[str, JsonValue]"

VERSION: Final = "order.version"
FIRST_VERSION: Final = 1
LARGEST_WHOLE: Final = 2**53
"""Up to here, either way, documents keep whole numbers whole: beyond it doubles, as protobuf has them, miss some."""
DEEPEST: Final = 30
"""Levels of objects and arrays in a document, itself included. Protobuf reads at most 100 messages within one another,
and takes three for an object: a deeper document could be put together by updates, but never be answered."""

LARGEST_BYTES: Final = 1024 * 1024
"""Of a document as JSON. Without a limit, updates could make one that is larger than an answer may be."""

# Names are quoted in errors up to this length; all of an error has to fit into a few KiB.
_QUOTED_LENGTH = 64


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
        InvalidRequest: It holds what a document cannot hold, or `order.version` is no whole number, 0 or more.
    """
    violations = list(unfit_values("document", given, level=1))
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
        InvalidRequest: It is larger than LARGEST_BYTES.
    """
    if len(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()) > LARGEST_BYTES:
        raise InvalidRequest([FieldViolation("", "must leave a document of at most 1 MiB of JSON", "document.size")])


def unfit_values(place: str, value: JsonValue, *, level: int) -> Iterator[FieldViolation]:
    """Yields what of a value a document cannot hold: what JSON or Postgres has no form for, and what nests too deep.

    Args:
        place: Names the value in the request.
        value: The value.
        level: Of the value in the document, which is at level 1 itself.
    """
    if isinstance(value, float) and not math.isfinite(value):
        yield FieldViolation(place, "must be a finite number", "document.finite")
    elif isinstance(value, str) and "\0" in value:
        yield FieldViolation(place, "must not hold a NUL character", "document.no_nul")
    elif isinstance(value, dict | list) and level > DEEPEST:
        yield FieldViolation(place, f"must not nest deeper than {DEEPEST} levels", "document.depth")
    elif isinstance(value, list):
        for index, element in enumerate(value):
            yield from unfit_values(f"{place}[{index}]", element, level=level + 1)
    elif isinstance(value, dict):
        if any("\0" in name for name in value):
            yield FieldViolation(place, "must not hold a name with a NUL character", "document.no_nul")
        for name, part in value.items():
            yield from unfit_values(f'{place}["{name[:_QUOTED_LENGTH]}"]', part, level=level + 1)


def is_whole(value: MaybeValue) -> TypeGuard[int]:
    """Tells whether a value is a whole number that can be counted on.

    Args:
        value: Of a field.
    """
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_WHOLE
