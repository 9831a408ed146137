"""Whether two back ends' answers to the same request are equal, and where they differ.

Values are those of JSON, at most as deep as protobuf reads them, 100 levels. The time grows with their size only.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from itertools import chain, islice
from typing import Final, Literal, TypeAlias

from ridehail_kernel.json_values import LARGEST_WHOLE, JsonObject, JsonValue

MOST_DIFFERENCES: Final = 100
"""So many differences are told."""

_UNORDERED: Final = "tariffs"
_REVISION: Final = "revision_id"
_WHOLE_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,17}")
# Elements that nothing names are paired by likeness up to so many pairs to try, and by their order beyond.
_MOST_TRIALS: Final = 400


class Absence(Enum):
    """The type of `ABSENT`, which stands for what an answer does not have. Null is a value."""

    ABSENT = auto()


ABSENT: Final = Absence.ABSENT
MaybeValue: TypeAlias = "JsonValue | Literal[Absence.ABSENT]"
Path: TypeAlias = "tuple[str | int, ...]"
"""Names of members and indices of elements, from the outermost."""


class Kind(StrEnum):
    """What a request was."""

    READ = "read"
    WRITE = "write"


class Verdict(StrEnum):
    """What came out of a comparison."""

    EQUAL = "equal"
    DIFFERENT = "different"
    BEHIND = "behind"
    """The answers differ because the two back ends hold different revisions of the state."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a back end answered: its HTTP status and its body."""

    status: int
    body: JsonValue


@dataclass(frozen=True, slots=True)
class Difference:
    """A place where two answers differ.

    Attributes:
        path: Into the old answer; into the new one where the old one lacks it.
        old: What the old answer has there.
        new: What the new answer has there.
    """

    path: Path
    old: MaybeValue
    new: MaybeValue


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came out of a comparison.

    Attributes:
        verdict: In a word.
        statuses_differ: Whether the HTTP statuses do.
        differences: Of the bodies, the first `MOST_DIFFERENCES`.
        truncated: Whether there are more.
    """

    verdict: Verdict
    statuses_differ: bool
    differences: tuple[Difference, ...]
    truncated: bool


def compare(kind: Kind, old: Answer, new: Answer) -> Comparison:
    """Compares two answers to one request.

    Args:
        kind: What the request was.
        old: Of the old back end.
        new: Of the new back end.
    """
    found = list(islice(body_differences(old.body, new.body), MOST_DIFFERENCES + 1))
    statuses_differ = old.status != new.status
    verdict = Verdict.EQUAL
    if found or statuses_differ:
        verdict = Verdict.BEHIND if _are_of_different_revisions(kind, old, new) else Verdict.DIFFERENT
    return Comparison(verdict, statuses_differ, tuple(found[:MOST_DIFFERENCES]), len(found) > MOST_DIFFERENCES)


def body_differences(old: JsonValue, new: JsonValue) -> Iterator[Difference]:
    """Yields where two bodies differ; of bodies of different revisions that place alone.

    Args:
        old: Of the old back end.
        new: Of the new back end.
    """
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
    """Returns a text that is the same for equal values, and for no others.

    Args:
        value: The value.
    """
    return json.dumps(_with_whole_numbers(value), sort_keys=True, separators=(",", ":"))


def _are_of_different_revisions(kind: Kind, old: Answer, new: Answer) -> bool:
    before_old, before_new = _revision_before(kind, old), _revision_before(kind, new)
    return before_old is not None and before_new is not None and before_old != before_new


def _revision_before(kind: Kind, answer: Answer) -> int | None:
    """Returns the revision of the state that a back end held when it was asked, if the answer tells it."""
    body = answer.body if isinstance(answer.body, dict) else {}
    metadata = body.get("metadata")
    if body.get("reason") == "REVISION_CONFLICT" and isinstance(metadata, dict):
        return _whole_number(metadata.get("current_revision_id"))
    told = _whole_number(body.get(_REVISION))
    return told - 1 if told is not None and kind is Kind.WRITE else told


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
            places = range(max(len(ours), len(theirs)) - 1, -1, -1)
            pending.extend(((*path, place), _element(ours, place), _element(theirs, place)) for place in places)
        elif not _is_same(ours, theirs):
            yield Difference(path, ours, theirs)


def _element(array: Sequence[JsonValue], place: int) -> MaybeValue:
    return array[place] if place < len(array) else ABSENT


def _is_same(old: MaybeValue, new: MaybeValue) -> bool:
    """Tells whether two values are equal that are not both objects and not both arrays."""
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
            place = theirs if found.old is ABSENT else ours
            yield Difference((_UNORDERED, place, *found.path), found.old, found.new)
    for place in _without(nameless_old, (ours for ours, _theirs in alike)):
        yield Difference((_UNORDERED, place), old[place], ABSENT)
    for place in _without(nameless_new, (theirs for _ours, theirs in alike)):
        yield Difference((_UNORDERED, place), ABSENT, new[place])


def _without_equal_pairs(
    old: Sequence[JsonValue], new: Sequence[JsonValue]
) -> tuple[dict[int, JsonValue], dict[int, JsonValue]]:
    """Returns the elements without an equal one on the other side, by their places. Equal ones pair off one by one."""
    old_texts, new_texts = [canonical(one) for one in old], [canonical(one) for one in new]
    return _beyond(old, old_texts, Counter(new_texts)), _beyond(new, new_texts, Counter(old_texts))


def _beyond(elements: Sequence[JsonValue], texts: Sequence[str], matched: Counter[str]) -> dict[int, JsonValue]:
    left: dict[int, JsonValue] = {}
    for place, text in enumerate(texts):
        if matched[text]:
            matched[text] -= 1
        else:
            left[place] = elements[place]
    return left


def _without(elements: Mapping[int, JsonValue], places: Iterator[int]) -> dict[int, JsonValue]:
    gone = set(places)
    return {place: one for place, one in elements.items() if place not in gone}


def _pairs_by_category(old: Mapping[int, JsonValue], new: Mapping[int, JsonValue]) -> list[tuple[int, int]]:
    """Pairs elements whose category no other element of the same side has."""
    old_places, new_places = _places_by_category(old), _places_by_category(new)
    return [
        (places[0], new_places[category][0])
        for category, places in old_places.items()
        if len(places) == 1 and len(new_places.get(category, ())) == 1
    ]


def _places_by_category(elements: Mapping[int, JsonValue]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for place, one in elements.items():
        if isinstance(one, dict) and isinstance(category := one.get("category"), str):
            found[category].append(place)
    return found


def _pairs_by_likeness(old: Mapping[int, JsonValue], new: Mapping[int, JsonValue]) -> list[tuple[int, int]]:
    """Pairs elements so that those with the most equal members go together; too many ones by their order."""
    if len(old) * len(new) > _MOST_TRIALS:
        return list(zip(old, new, strict=False))
    old_members = {place: _members(one) for place, one in old.items()}
    new_members = {place: _members(one) for place, one in new.items()}
    trials = sorted(
        (-len(ours & theirs), old_place, new_place)
        for old_place, ours in old_members.items()
        for new_place, theirs in new_members.items()
    )
    paired: dict[int, int] = {}
    for _likeness, old_place, new_place in trials:
        if old_place not in paired and new_place not in paired.values():
            paired[old_place] = new_place
    return list(paired.items())


def _members(value: JsonValue) -> set[str]:
    return {canonical([name, one]) for name, one in value.items()} if isinstance(value, dict) else set()


def _with_whole_numbers(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {name: _with_whole_numbers(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_with_whole_numbers(one) for one in value]
    if isinstance(value, float) and value.is_integer() and abs(value) <= LARGEST_WHOLE:
        return int(value)
    return value
