"""The shape of JSON: which places it has and of which types, without any value.

A name of a member that could be a value itself, such as a phone, has a placeholder.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from typing import Final

from ridehail_clients.models import JsonType, ShapeEntry
from ridehail_kernel.json_values import ABSENT, JsonValue, MaybeValue

ROOT: Final = "$"
ITEM: Final = "$item"
NAME: Final = "$name"

# What the contract takes.
_MAX_ENTRIES: Final = 50
_MAX_PATH: Final = 256
# A name that begins with a digit could be an account or a phone.
_PLAIN_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
# Content of any size is cut here: a poll does not wait for a walk through megabytes.
_MAX_VALUES: Final = 2_000


def shape_of(content: MaybeValue) -> tuple[ShapeEntry, ...]:
    """Returns the shape of JSON, outer places first; empty for none. All elements of an array are one place."""
    if content is ABSENT:
        return ()
    found: dict[ShapeEntry, None] = {}
    pending: deque[tuple[str, JsonValue]] = deque([(ROOT, content)])
    for _ in range(_MAX_VALUES):
        if not pending or len(found) == _MAX_ENTRIES:
            break
        path, value = pending.popleft()
        found[ShapeEntry(path, _type_of(value))] = None
        if isinstance(value, Mapping):
            pending.extend(_inside(path, {_plain(name): one for name, one in value.items()}))
        elif isinstance(value, list | tuple):
            pending.extend((f"{path}.{ITEM}", one) for one in value[:_MAX_VALUES] if _fits(path, ITEM))
    return tuple(found)


def _inside(path: str, members: Mapping[str, JsonValue]) -> list[tuple[str, JsonValue]]:
    return [(f"{path}.{name}", one) for name, one in members.items() if _fits(path, name)]


def _fits(path: str, name: str) -> bool:
    return len(path) + 1 + len(name) <= _MAX_PATH


def _plain(name: object) -> str:
    return name if isinstance(name, str) and _PLAIN_NAME.fullmatch(name) else NAME


def _type_of(value: object) -> JsonType:
    # To Python True is a number.
    if isinstance(value, bool):
        return JsonType.BOOLEAN
    for kinds, name in _TYPES:
        if isinstance(value, kinds):
            return name
    return JsonType.NULL


_TYPES: Final[tuple[tuple[type | tuple[type, ...], JsonType], ...]] = (
    (str, JsonType.STRING),
    ((int, float), JsonType.NUMBER),
    (Mapping, JsonType.OBJECT),
    ((list, tuple), JsonType.ARRAY),
)
