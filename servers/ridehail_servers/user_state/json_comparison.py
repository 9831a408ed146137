"""Compares two back ends' responses to the same request, and finds where they differ.

Values are those of JSON, at most as deep as protobuf reads them, 100 levels. The time depends on their size only.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, islice
from typing import Final, TypeAlias

from ridehail_kernel.json_values import ABSENT, MAX_SAFE_INTEGER, JsonObject, JsonValue, MaybeValue

MAX_DIFFERENCES: Final = 100
"""Further ones are only reported as `truncated`."""

_UNORDERED: Final = "tariffs"
_REVISION: Final = "revision_id"
_WHOLE_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,17}")
# Elements that nothing names are paired by likeness up to so many pairs to try, and by their order beyond.
_MAX_TRIALS: Final = 400


Path: TypeAlias = "tuple[str | int, ...]"
"""Names of members and indices of elements, from the outermost."""


class Kind(StrEnum):
    """The kind of a request."""

    READ = "read"
    WRITE = "write"


class Verdict(StrEnum):
    """The result of a comparison."""

    EQUAL = "equal"
    DIFFERENT = "different"
    BEHIND = "behind"
    """The responses differ because the two back ends hold different revisions of the state."""


@dataclass(frozen=True, slots=True)
class Response:
    """A back end's HTTP status and body."""

    status: int
    body: JsonValue


@dataclass(frozen=True, slots=True)
class Difference:
    """A place where two bodies differ: a path into the old one, or into the new one where the old one lacks it."""

    path: Path
    old: MaybeValue
    new: MaybeValue


@dataclass(frozen=True, slots=True)
class ComparisonResult:
    """The result of a comparison, with the first `MAX_DIFFERENCES` of the bodies."""

    verdict: Verdict
    statuses_differ: bool
    differences: tuple[Difference, ...]
    truncated: bool


def compare(kind: Kind, old: Response, new: Response) -> ComparisonResult:
    """Compares the old and the new back end's response to one request."""
    found = list(islice(body_differences(old.body, new.body), MAX_DIFFERENCES + 1))
    statuses_differ = old.status != new.status
    verdict = Verdict.EQUAL
    if found or statuses_differ:
        verdict = Verdict.BEHIND if _are_of_different_revisions(kind, old, new) else Verdict.DIFFERENT
    return ComparisonResult(verdict, statuses_differ, tuple(found[:MAX_DIFFERENCES]), len(found) > MAX_DIFFERENCES)


def body_differences(old: JsonValue, new: JsonValue) -> Iterator[Difference]:
    """Yields where two bodies differ; of bodies of different revisions only that field."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        yield from _differences(old, new)
        return
    if _REVISION in old and _REVISION in new and not _is_same(old[_REVISION], new[_REVISION]):
        yield Difference((_REVISION,), old[_REVISION], new[_REVISION])
        return
    old_tariffs, new_tariffs = old.get(_UNORDERED), new.get(_UNORDERED)
    if not isinstance(old_tariffs, list) or not isinstance(new_tariffs, list):
        yield from _differences(old, new)
        return
    yield from _differences(_without_tariffs(old), _without_tariffs(new))
    yield from _unordered_differences(old_tariffs, new_tariffs)


def canonical(value: JsonValue) -> str:
    """Returns a text that is the same for equal values, and for no others."""
    return json.dumps(_with_whole_numbers(value), sort_keys=True, separators=(",", ":"))


def _are_of_different_revisions(kind: Kind, old: Response, new: Response) -> bool:
    before_old, before_new = _revision_before(kind, old), _revision_before(kind, new)
    return before_old is not None and before_new is not None and before_old != before_new


def _revision_before(kind: Kind, response: Response) -> int | None:
    """Returns the revision of the state that a back end held before the request, if the response says."""
    body = response.body if isinstance(response.body, dict) else {}
    metadata = body.get("metadata")
    if body.get("reason") == "REVISION_CONFLICT" and isinstance(metadata, dict):
        return _whole_number(metadata.get("current_revision_id"))
    revision = _whole_number(body.get(_REVISION))
    return revision - 1 if revision is not None and kind is Kind.WRITE else revision


def _whole_number(value: JsonValue) -> int | None:
    return int(value) if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value) else None


def _without_tariffs(body: JsonObject) -> JsonObject:
    return {name: value for name, value in body.items() if name != _UNORDERED}


def _differences(old: JsonValue, new: JsonValue) -> Iterator[Difference]:
    # A stack of its own, not recursion: a generator within a generator for each level would pass each find through all.
    pending: list[tuple[Path, MaybeValue, MaybeValue]] = [((), old, new)]
    while pending:
        path, ours, theirs = pending.pop()
        if isinstance(ours, dict) and isinstance(theirs, dict):
            names = sorted(ours.keys() | theirs.keys(), reverse=True)
            pending.extend(((*path, name), ours.get(name, ABSENT), theirs.get(name, ABSENT)) for name in names)
        elif isinstance(ours, list) and isinstance(theirs, list):
            indices = range(max(len(ours), len(theirs)) - 1, -1, -1)
            pending.extend(((*path, index), _element(ours, index), _element(theirs, index)) for index in indices)
        elif not _is_same(ours, theirs):
            yield Difference(path, ours, theirs)


def _element(array: Sequence[JsonValue], index: int) -> MaybeValue:
    return array[index] if index < len(array) else ABSENT


def _is_same(old: MaybeValue, new: MaybeValue) -> bool:
    """Compares two values that are not both objects and not both arrays."""
    # To Python True is 1.
    if isinstance(old, bool) or isinstance(new, bool):
        return old is new
    return old == new


def _unordered_differences(old: Sequence[JsonValue], new: Sequence[JsonValue]) -> Iterator[Difference]:
    left_old, left_new = _without_equal_pairs(old, new)
    named = _pairs_by_category(left_old, left_new)
    nameless_old = _without(left_old, (ours for ours, _theirs in named))
    nameless_new = _without(left_new, (theirs for _ours, theirs in named))
    alike = _pairs_by_likeness(nameless_old, nameless_new)
    for ours, theirs in sorted(chain(named, alike)):
        for found in _differences(old[ours], new[theirs]):
            index = theirs if found.old is ABSENT else ours
            yield Difference((_UNORDERED, index, *found.path), found.old, found.new)
    for index in _without(nameless_old, (ours for ours, _theirs in alike)):
        yield Difference((_UNORDERED, index), old[index], ABSENT)
    for index in _without(nameless_new, (theirs for _ours, theirs in alike)):
        yield Difference((_UNORDERED, index), ABSENT, new[index])


def _without_equal_pairs(
    old: Sequence[JsonValue], new: Sequence[JsonValue]
) -> tuple[dict[int, JsonValue], dict[int, JsonValue]]:
    """Returns the elements without an equal one on the other side, by index. Equal ones pair off one by one."""
    old_texts, new_texts = [canonical(one) for one in old], [canonical(one) for one in new]
    return _beyond(old, old_texts, Counter(new_texts)), _beyond(new, new_texts, Counter(old_texts))


def _beyond(elements: Sequence[JsonValue], texts: Sequence[str], matched: Counter[str]) -> dict[int, JsonValue]:
    left: dict[int, JsonValue] = {}
    for index, text in enumerate(texts):
        if matched[text]:
            matched[text] -= 1
        else:
            left[index] = elements[index]
    return left


def _without(elements: Mapping[int, JsonValue], indices: Iterator[int]) -> dict[int, JsonValue]:
    gone = set(indices)
    return {index: one for index, one in elements.items() if index not in gone}


def _pairs_by_category(old: Mapping[int, JsonValue], new: Mapping[int, JsonValue]) -> list[tuple[int, int]]:
    """Pairs elements whose category no other element of the same side has."""
    old_indices, new_indices = _indices_by_category(old), _indices_by_category(new)
    return [
        (indices[0], new_indices[category][0])
        for category, indices in old_indices.items()
        if len(indices) == 1 and len(new_indices.get(category, ())) == 1
    ]


def _indices_by_category(elements: Mapping[int, JsonValue]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for index, one in elements.items():
        if isinstance(one, dict) and isinstance(category := one.get("category"), str):
            found[category].append(index)
    return found


def _pairs_by_likeness(old: Mapping[int, JsonValue], new: Mapping[int, JsonValue]) -> list[tuple[int, int]]:
    """Pairs elements so that those with the most equal members go together; too many ones by their order."""
    if len(old) * len(new) > _MAX_TRIALS:
        return list(zip(old, new, strict=False))
    old_members = {index: _members(one) for index, one in old.items()}
    new_members = {index: _members(one) for index, one in new.items()}
    trials = sorted(
        (-len(ours & theirs), old_index, new_index)
        for old_index, ours in old_members.items()
        for new_index, theirs in new_members.items()
    )
    paired: dict[int, int] = {}
    for _likeness, old_index, new_index in trials:
        if old_index not in paired and new_index not in paired.values():
            paired[old_index] = new_index
    return list(paired.items())


def _members(value: JsonValue) -> set[str]:
    return {canonical([name, one]) for name, one in value.items()} if isinstance(value, dict) else set()


def _with_whole_numbers(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {name: _with_whole_numbers(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_with_whole_numbers(one) for one in value]
    if isinstance(value, float) and value.is_integer() and abs(value) <= MAX_SAFE_INTEGER:
        return int(value)
    return value
