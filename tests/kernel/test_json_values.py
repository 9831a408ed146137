"""JSON on its way into messages and back: nothing is lost, and what would change is refused."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st

from ridehail_clients import JsonInput, JsonValue
from ridehail_kernel.json_values import from_struct, to_struct

_whole = st.integers(-(2**53) + 1, 2**53 - 1)
_text = st.text(st.characters(exclude_categories=["Cs"]))
_scalars = st.none() | st.booleans() | _whole | st.floats(allow_nan=False, allow_infinity=False) | _text
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(_text, _values, max_size=5))
def test_a_document_survives_the_way_to_the_wire_and_back(document: dict[str, JsonValue]) -> None:
    sent = Struct.FromString(to_struct(document).SerializeToString())

    assert _typed(from_struct(sent)) == _typed(document)


def _typed(value: JsonValue) -> object:
    """The value with its types, whole numbers as int: 1 and True are two values, 1 and 1.0 are one, as in JSON."""
    if isinstance(value, dict):
        return {name: _typed(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_typed(one) for one in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int, value
    return type(value), value


@pytest.mark.parametrize("number", [2**53, -(2**53), 12345678901234567890, 10**400, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: [x], lambda x: {"inner": x}], ids=["bare", "array", "object"])
def test_a_number_that_would_change_on_the_way_is_refused(number: float, wrap: Any) -> None:
    with pytest.raises(ValueError, match="number") as refused:
        to_struct({"total": wrap(number)})
    inside = {"list": "[0]", "dict": '["inner"]'}.get(type(wrap(0)).__name__, "")
    assert str(refused.value).startswith(f'["total"]{inside}: a ')


@pytest.mark.parametrize(
    "value",
    [b"bytes", datetime(2026, 3, 4, tzinfo=UTC), {1, 2}, {1: "name"}, object()],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_json_is_refused(value: JsonInput) -> None:
    with pytest.raises(TypeError, match="JSON"):
        to_struct({"value": value})
