"""Arguments for the methods of stores, by the types of their parameters: a new statement needs none written down."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from itertools import product
from typing import Any

from pydantic import BaseModel

_PLAIN: Mapping[Any, object] = {
    str: "1",
    int: 1,
    bool: True,
    bytes: b"1",
    # Before everything that is stored: the statements delete nothing.
    datetime: datetime(2000, 1, 1, tzinfo=UTC),
    Any: {},
}
# The type of JSON values is defined by itself, so it cannot be resolved.
_NAMES = {"JsonValue": Any, "JsonObject": dict[str, Any]}


def argument_sets(method: Callable[..., Any], skipped: Collection[str]) -> list[dict[str, Any]]:
    """Returns arguments by name: one set for each None and member of an enum that may be passed."""
    kinds = typing.get_type_hints(method, localns=_NAMES)
    names = [name for name in kinds if name not in {*skipped, "return"}]
    return [dict(zip(names, values, strict=True)) for values in product(*(_values(kinds[name]) for name in names))]


def _values(kind: Any) -> Sequence[Any]:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return list(kind)
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        return [value for one in typing.get_args(kind) for value in _values(one)]
    return [_value(kind)]


def _value(kind: Any) -> Any:
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if kind is type(None):
        return None
    if kind in _PLAIN:
        return _PLAIN[kind]
    if isinstance(kind, type) and (
        dataclasses.is_dataclass(kind) or typing.is_typeddict(kind) or _is_named_tuple(kind) or _is_model(kind)
    ):
        hints = typing.get_type_hints(kind, localns=_NAMES)
        # The rules of a model may know better than its types.
        create: Callable[..., Any] = getattr(kind, "model_construct", kind)
        return create(**{name: _values(hint)[-1] for name, hint in hints.items()})
    if origin is not None and issubclass(origin, Mapping):
        return {_value(parts[0]): _value(parts[1])}
    if origin is tuple and Ellipsis not in parts:
        return tuple(map(_value, parts))
    if origin is not None and issubclass(origin, Collection):
        return (origin if origin in {tuple, frozenset, set} else list)([_value(parts[0])])
    raise TypeError(f"no sample of {kind}: add one")


def _is_model(kind: type) -> bool:
    return issubclass(kind, BaseModel)


def _is_named_tuple(kind: type) -> bool:
    return issubclass(kind, tuple) and hasattr(kind, "_fields")
