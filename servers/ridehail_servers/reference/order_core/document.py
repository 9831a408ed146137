"""An order document, and how its fields are read.

A document is a JSON object. Its field `order.version` is a whole number, 0 or more, that every update raises. Nothing
here changes its arguments; results share the unchanged parts with their sources.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeGuard

from ridehail_kernel.field_violation import FieldViolation
from ridehail_kernel.json_values import ABSENT, JsonObject, JsonValue, MaybeValue, is_exact
from ridehail_servers.chassis.errors import InvalidRequest
from ridehail_servers.chassis.json_limits import exceeds

VERSION: Final = "order.version"
FIRST_VERSION: Final = 1
MAX_BYTES: Final = 1024 * 1024
"""Of a document as JSON. Without a limit, updates could make one that is larger than a response may be."""
MAX_VALUES: Final = 5000
"""Members and elements of a document in all: so many do not block the event loop for long."""
FINAL_STATUSES: Final = ("cancelled", "complete", "expired", "failed", "finished")
"""The values of `order.status` that end an order; an order with any other status, or with none, is active. The index
`orders_active_idx` is made for exactly these, so a change here needs a migration."""


def value_at(document: JsonObject, path: str) -> MaybeValue:
    """Returns the value at a path, or ABSENT if the document does not have it.

    A path joins names by dots, and does not reach into arrays.
    """
    value: JsonValue = document
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            return ABSENT
        value = value[name]
    return value


def text_at(document: JsonObject, path: str) -> str:
    """Returns the text at a path, or an empty one if the document has no text there."""
    value = value_at(document, path)
    return value if isinstance(value, str) else ""


def version_of(document: JsonObject) -> int:
    """Returns the version of a stored document."""
    version = value_at(document, VERSION)
    assert is_whole(version), "every stored document has a version"
    return version


def select(document: JsonObject, paths: Iterable[str]) -> JsonObject:
    """Returns those of the fields that the document has, nested as they are in it. A path may be a part of another."""
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
    """Returns a document as it is first stored: with `order.version` 1 if it has none of its own.

    Raises:
        InvalidRequest: `order.version` is not a whole number, 0 or more.
    """
    order = given.get("order", {})
    if not isinstance(order, dict):
        raise InvalidRequest([FieldViolation('document["order"]', "must be an object", "put_order.version")])
    version = order.get("version", FIRST_VERSION)
    if not is_whole(version) or version < 0:
        field, description = 'document["order"]["version"]', "must be a whole number, 0 or more"
        raise InvalidRequest([FieldViolation(field, description, "put_order.version")])
    return {**given, "order": {**order, "version": version}}


def check_size(document: JsonObject) -> None:
    """Raises InvalidRequest if a document is larger than MAX_BYTES or MAX_VALUES."""
    if exceeds(document, max_bytes=MAX_BYTES, max_values=MAX_VALUES):
        description = f"must leave a document of at most 1 MiB of JSON and {MAX_VALUES} values"
        raise InvalidRequest([FieldViolation("", description, "document.size")])


def is_whole(value: MaybeValue) -> TypeGuard[int]:
    """Returns whether a value is a whole number that a double holds exactly."""
    return isinstance(value, int) and not isinstance(value, bool) and is_exact(value)
