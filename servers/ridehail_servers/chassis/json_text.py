"""JSON as text: how Postgres gives it, and how large it is."""

from __future__ import annotations

import json
from typing import Final

from ridehail_kernel.json_values import JsonInput, JsonValue, is_exact


def encode(value: JsonInput) -> str:
    """Returns a value of finite numbers as compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def size_bytes(value: JsonInput) -> int:
    return len(encode(value).encode())


def decode(text: str) -> JsonValue:
    """Reads JSON of a column of type jsonb."""
    value: JsonValue = _DECODER.decode(text)
    return value


def _whole_or_double(digits: str) -> int | float:
    # Postgres writes 1e+300 as 301 digits. What was stored as a double is read as one.
    number = int(digits)
    return number if is_exact(number) else float(number)


_DECODER: Final = json.JSONDecoder(parse_int=_whole_or_double)
