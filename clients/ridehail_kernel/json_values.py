"""JSON values, as Python and as protobuf hold them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Final, Literal, TypeAlias

from google.protobuf.struct_pb2 import NULL_VALUE, ListValue, Struct, Value

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
"""A value as the clients return it."""
JsonObject: TypeAlias = "dict[str, JsonValue]"
"""A document as the clients return it."""
JsonInput: TypeAlias = "bool | int | float | str | Sequence[JsonInput] | Mapping[str, JsonInput] | None"
"""A value as the clients take it."""

MAX_SAFE_INTEGER: Final = 2**53 - 1
"""Whole numbers up to here, either way, are exact: protobuf keeps every number as a double, and a larger one may stand
for several."""


class Absence(Enum):
    """The type of `ABSENT`, which stands for a value that is not there. Null is a value."""

    ABSENT = auto()


ABSENT: Final = Absence.ABSENT
MaybeValue: TypeAlias = "JsonValue | Literal[Absence.ABSENT]"


def is_exact(number: float) -> bool:
    """Returns whether a number arrives as it was sent. NaN does not."""
    return -MAX_SAFE_INTEGER <= number <= MAX_SAFE_INTEGER


class UnfitNumber(ValueError):
    """A number that would not arrive as it was sent.

    Attributes:
        path: Where it is, as in `["card"][0]`.
    """

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.path = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.args[0]}" if self.path else str(self.args[0])


def to_struct(document: Mapping[str, JsonInput]) -> Struct:
    """Returns a document as protobuf holds it.

    Args:
        document: Names and JSON values; whole numbers from -(2^53 - 1) to 2^53 - 1.

    Raises:
        UnfitNumber: A whole number is larger than that, or a number is not finite.
        TypeError: Something in it is no JSON value.
    """
    struct = Struct()
    _fill_struct(struct, document)
    return struct


def to_list(values: Sequence[JsonInput]) -> ListValue:
    """Returns an array as protobuf holds it; raises as `to_struct` does."""
    array = ListValue()
    _fill_list(array, values)
    return array


def to_value(value: JsonInput) -> Value:
    """Returns any JSON value as protobuf holds it; raises as `to_struct` does."""
    result = Value()
    _fill_value(result, value)
    return result


# Messages are filled in their places: one that is created alone would be copied into the one that holds it, level by
# level.


def _fill_struct(struct: Struct, document: Mapping[str, JsonInput]) -> None:
    for name, value in document.items():
        if not isinstance(name, str):
            raise TypeError(f"names in a JSON object must be strings, not {type(name).__name__}")
        try:
            _fill_value(struct.fields[name], value)
        except UnfitNumber as error:
            error.path = f'["{name}"]{error.path}'
            raise


def _fill_list(array: ListValue, values: Sequence[JsonInput]) -> None:
    if isinstance(values, str | bytes) or not isinstance(values, Sequence):
        raise TypeError(f"a JSON array must be a sequence of values, not {type(values).__name__}")
    for index, value in enumerate(values):
        try:
            _fill_value(array.values.add(), value)
        except UnfitNumber as error:
            error.path = f"[{index}]{error.path}"
            raise


def _fill_value(target: Value, value: JsonInput) -> None:
    # A bool is an int in Python, so it is checked first.
    if isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int | float):
        target.number_value = _number(value)
    elif isinstance(value, str):
        target.string_value = value
    elif value is None:
        target.null_value = NULL_VALUE
    elif isinstance(value, Mapping):
        target.struct_value.SetInParent()
        _fill_struct(target.struct_value, value)
    else:
        target.list_value.SetInParent()
        _fill_list(target.list_value, value)


def _number(value: float) -> float:
    if isinstance(value, int) and not is_exact(value):
        raise UnfitNumber("a whole number in JSON must be from -(2^53 - 1) to 2^53 - 1")
    if not math.isfinite(value):
        raise UnfitNumber("a number in JSON must be finite")
    return float(value)


def from_struct(struct: Struct) -> JsonObject:
    """Returns a document as plain Python values; numbers that are whole, up to 2^53 - 1, as int."""
    return {name: from_value(value) for name, value in struct.fields.items()}


def from_list(array: ListValue) -> JsonValue:
    """Returns an array as a plain Python list; numbers as of `from_struct`."""
    return [from_value(one) for one in array.values]


def from_value(value: Value) -> JsonValue:
    """Returns any JSON value as a plain Python value; a number that is whole, up to 2^53 - 1, as int."""
    match value.WhichOneof("kind"):
        case "bool_value":
            return value.bool_value
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() and abs(number) <= MAX_SAFE_INTEGER else number
        case "string_value":
            return value.string_value
        case "struct_value":
            return from_struct(value.struct_value)
        case "list_value":
            return from_list(value.list_value)
        case _:
            return None
