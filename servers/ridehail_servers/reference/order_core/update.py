"""Updates of a document: which changes may be combined, and what they result in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ridehail_kernel.field_violation import FieldViolation
from ridehail_kernel.json_values import ABSENT, JsonObject, JsonValue
from ridehail_servers.chassis.errors import InvalidRequest
from ridehail_servers.chassis.json_limits import unfit_values

from .document import VERSION, is_whole, value_at
from .errors import OrderFieldTypeMismatch


@dataclass(frozen=True, slots=True)
class Update:
    """Changes of one document, made all or none. The constructor checks every rule that needs no document.

    Attributes:
        set: Values to set, by path.
        unset: Paths to remove.
        push: Elements to append to arrays, by path.
        increment: Amounts to add to whole numbers, by path.
        call_processing: Whether to record an event for order processing. This raises the version even without
            any change.

    Raises:
        InvalidRequest: There is nothing to do; two changes touch the same path, or a path and a part of it;
            `order.version` is changed in another way than incremented by 1 or more; a value cannot be in a document.
    """

    set: Mapping[str, JsonValue] = field(default_factory=dict)
    unset: Sequence[str] = ()
    push: Mapping[str, Sequence[JsonValue]] = field(default_factory=dict)
    increment: Mapping[str, int] = field(default_factory=dict)
    call_processing: bool = False

    def __post_init__(self) -> None:
        if violations := [*self._emptiness(), *self._overlaps(), *self._version_changes(), *self._unfit_values()]:
            raise InvalidRequest(violations)

    def _emptiness(self) -> Iterator[FieldViolation]:
        if not (self.set or self.unset or self.push or self.increment or self.call_processing):
            yield FieldViolation("", "must change a field or call processing", "set_order_fields.empty")

    def _overlaps(self) -> Iterator[FieldViolation]:
        changes = [*self._replacements(), *((path, f'increment["{path}"]') for path in self.increment)]
        covering: list[str] | None = None
        # In this order a path is followed by all of its parts before any other path comes.
        for names, change in sorted((path.split("."), change) for path, change in changes):
            if covering is not None and names[: len(covering)] == covering:
                description = f"must not touch {'.'.join(covering)} as another change does"
                yield FieldViolation(change, description, "set_order_fields.overlap")
            else:
                covering = names

    def _version_changes(self) -> Iterator[FieldViolation]:
        for path, change in self._replacements():
            if f"{VERSION}.".startswith(f"{path}."):
                description = f"must not replace {VERSION}, which can only be incremented"
                yield FieldViolation(change, description, "set_order_fields.version")
        if self.increment.get(VERSION, 1) < 1:
            yield FieldViolation(f'increment["{VERSION}"]', "must be 1 or more", "set_order_fields.version")

    def _unfit_values(self) -> Iterator[FieldViolation]:
        for path, value in self.set.items():
            yield from unfit_values(f'set["{path}"]', value, level=_level(path))
        for path, elements in self.push.items():
            yield from unfit_values(f'push["{path}"]', list(elements), level=_level(path))

    def _replacements(self) -> Iterator[tuple[str, str]]:
        """Yields the path of every change except the increments, and its name in the request."""
        yield from ((path, f'set["{path}"]') for path in self.set)
        yield from ((path, f"unset[{index}]") for index, path in enumerate(self.unset))
        yield from ((path, f'push["{path}"]') for path in self.push)


def apply(update: Update, document: JsonObject, *, order_id: str) -> JsonObject:
    """Returns the updated document: at a version higher by 1, unless the update increments it itself.

    Missing objects on the way to a field that is set, pushed to or incremented are created; a missing array counts as
    empty, a missing number as 0. Removing a missing field is no error. The given document stays as it is.

    Raises:
        OrderFieldTypeMismatch: There is a value of another kind on the way to a field, or where an array or a whole
            number is needed; or the result of an increment is beyond 2^53 - 1 either way.
    """
    draft = _Draft(document, order_id)
    for path, value in sorted(update.set.items(), key=_path):
        draft.set(path, value)
    for path, elements in sorted(update.push.items(), key=_path):
        draft.push(path, elements)
    for path, amount in sorted({VERSION: 1, **update.increment}.items()):
        draft.increment(path, amount)
    for path in update.unset:
        draft.unset(path)
    return draft.content


class _Draft:
    """A changing copy of a document."""

    def __init__(self, document: JsonObject, order_id: str) -> None:
        self.content = document
        self._order_id = order_id

    def set(self, path: str, value: JsonValue) -> None:
        parent, name = self._open(path)
        parent[name] = value

    def push(self, path: str, elements: Sequence[JsonValue]) -> None:
        parent, name = self._open(path)
        array = parent.get(name, [])
        if not isinstance(array, list):
            raise self._mismatch(path, "an array")
        parent[name] = [*array, *elements]

    def increment(self, path: str, amount: int) -> None:
        parent, name = self._open(path)
        number = parent.get(name, 0)
        if not is_whole(number) or not is_whole(number + amount):
            raise self._mismatch(path, "a whole number that stays within -(2^53 - 1) and 2^53 - 1")
        parent[name] = number + amount

    def unset(self, path: str) -> None:
        if value_at(self.content, path) is not ABSENT:
            parent, name = self._open(path)
            del parent[name]

    def _open(self, path: str) -> tuple[JsonObject, str]:
        """Returns the object that holds a field, and the field's name in it; the object may be changed.

        Every object on the way is replaced by a copy, since the original document may share it.
        """
        names = path.split(".")
        self.content = parent = dict(self.content)
        for depth, name in enumerate(names[:-1], start=1):
            child = parent.get(name, {})
            if not isinstance(child, dict):
                raise self._mismatch(".".join(names[:depth]), "an object")
            parent[name] = child = dict(child)
            parent = child
        return parent, names[-1]

    def _mismatch(self, path: str, needed: str) -> OrderFieldTypeMismatch:
        return OrderFieldTypeMismatch(self._order_id, path=path, needed=needed)


def _path(change: tuple[str, object]) -> str:
    return change[0]


def _level(path: str) -> int:
    """Returns the level of a field in its document, which is at level 1 itself."""
    return path.count(".") + 2
