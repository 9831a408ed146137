"""What JSON may hold that services take or pass on: what a double and Postgres have a form for, and not too deep."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ridehail_kernel.field_violation import FieldViolation
from ridehail_kernel.json_values import JsonValue, is_exact

from .json_text import size_bytes

MAX_DEPTH: Final = 30
"""Levels of objects and arrays, where a field's contract says nothing else. Protobuf reads at most 100 messages within
one another, and takes three for an object: deeper JSON could be put together by updates, but never be returned."""

# Names are quoted in errors up to this length; all of an error has to fit into a few KiB.
_QUOTED_LENGTH = 64


def unfit_values(
    path: str, value: JsonValue, *, level: int = 1, max_depth: int = MAX_DEPTH
) -> Iterator[FieldViolation]:
    """Yields a violation for each part of a value that JSON of ours cannot hold.

    The value, named by `path` in the request, is at `level` of its document, which is at level 1 itself.
    """
    if isinstance(value, dict | list) and level > max_depth:
        yield FieldViolation(path, f"must not nest deeper than {max_depth} levels", "json.depth")
    elif isinstance(value, list):
        for index, element in enumerate(value):
            yield from unfit_values(f"{path}[{index}]", element, level=level + 1, max_depth=max_depth)
    elif isinstance(value, dict):
        if any("\0" in name for name in value):
            yield FieldViolation(path, "must not hold a name with a NUL character", "json.no_nul")
        for name, part in value.items():
            inner = f'{path}["{name[:_QUOTED_LENGTH]}"]'
            yield from unfit_values(inner, part, level=level + 1, max_depth=max_depth)
    elif isinstance(value, str):
        if "\0" in value:
            yield FieldViolation(path, "must not hold a NUL character", "json.no_nul")
    elif isinstance(value, int | float) and not is_exact(value):
        yield FieldViolation(path, "must be a number from -(2^53 - 1) to 2^53 - 1", "json.number")


def count_values(value: JsonValue) -> int:
    """Returns how many members and elements a value has in all, at any depth."""
    if not isinstance(value, dict | list):
        return 0
    inner = value.values() if isinstance(value, dict) else value
    return len(value) + sum(count_values(part) for part in inner if isinstance(part, dict | list))


def exceeds(value: JsonValue, *, max_bytes: int, max_values: int) -> bool:
    """Returns whether a value is larger than that as compact JSON, or has more members and elements in all."""
    return size_bytes(value) > max_bytes or count_values(value) > max_values


class DetailsBudget:
    """What one list of orders holds of their details in all: more would hold up whoever reads it."""

    MAX_VALUES: Final = 1000
    MAX_BYTES: Final = 256 * 1024

    def __init__(self) -> None:
        self._left = self.MAX_VALUES

    def take(self, details: JsonValue) -> bool:
        """Returns whether an order's details still fit; once some do not, none do any more."""
        if self._left >= 0:
            self._left -= count_values(details)
        return self._left >= 0
