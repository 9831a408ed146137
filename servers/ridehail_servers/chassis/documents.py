"""JSON documents that services keep for others: what one can hold, and how large it is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from ridehail_clients.json_values import JsonInput, JsonValue

from .errors import FieldViolation
from .json_text import encode

DEEPEST: Final = 30
"""Levels of objects and arrays in a document, itself included. Protobuf reads at most 100 messages within one another,
and takes three for an object: a deeper document could be put together by updates, but never be answered."""

# Names are quoted in errors up to this length; all of an error has to fit into a few KiB.
_QUOTED_LENGTH = 64


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


def json_bytes(document: JsonInput) -> int:
    """Returns how many bytes a document takes as JSON without spaces.

    Args:
        document: Holds only what `unfit_values` lets pass.
    """
    return len(encode(document).encode())
