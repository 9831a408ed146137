"""When two responses are equal, and where they differ."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ridehail_kernel.json_values import ABSENT
from ridehail_servers.user_state.json_comparison import (
    MAX_DIFFERENCES,
    Difference,
    Kind,
    Response,
    Verdict,
    body_differences,
    canonical,
    compare,
)
from ridehail_servers.user_state.redaction import pointer

READ, WRITE = Kind.READ, Kind.WRITE
_names = st.text("ab/~01\u044b", max_size=4)
_scalars = (
    st.none()
    | st.booleans()
    | st.integers(1 - 2**53, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
)
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_names, inner, max_size=4), max_leaves=12
)
_tariffs = st.lists(
    st.fixed_dictionaries(
        {"category": st.sampled_from(["econom", "vip", "child"])}, optional={"requirements": _values, "more": _values}
    )
    | _values,
    max_size=6,
)
_bodies = st.fixed_dictionaries({"tariffs": _tariffs}, optional={"selected_category": _scalars, "other": _values})


def differences(old: Any, new: Any) -> list[Difference]:
    return list(body_differences(old, new))


def paths(old: Any, new: Any) -> list[str]:
    return [pointer(one.path) for one in differences(old, new)]


def is_equal(old: Any, new: Any) -> bool:
    """A naive comparison to check against."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(is_equal(old[name], new[name]) for name in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(is_equal, old, new))
    numbers = (int, float)
    if type(old) in numbers and type(new) in numbers:
        return bool(old == new)
    return type(old) is type(new) and bool(old == new)


def is_equal_body(old: dict[str, Any], new: dict[str, Any]) -> bool:
    rest_old = {name: one for name, one in old.items() if name != "tariffs"}
    rest_new = {name: one for name, one in new.items() if name != "tariffs"}
    left = list(new["tariffs"])
    for one in old["tariffs"]:
        match = next((place for place, other in enumerate(left) if is_equal(one, other)), None)
        if match is None:
            return False
        del left[match]
    return not left and is_equal(rest_old, rest_new)


# --- equality


@given(_bodies, st.randoms(use_true_random=False))
def test_the_order_of_tariffs_never_matters(body: dict[str, Any], chance: random.Random) -> None:
    shuffled = deepcopy(body)
    chance.shuffle(shuffled["tariffs"])
    assert differences(body, shuffled) == []
    assert differences({**body, "selected_category": 1.0}, {**shuffled, "selected_category": 1}) == []


@given(
    st.lists(_values, min_size=2, max_size=5),
    st.randoms(use_true_random=False),
    st.sampled_from(
        [
            lambda array: array,
            lambda array: {"other": array},
            lambda array: {"tariffs": {"tariffs": array}},
            lambda array: {"tariffs": [{"category": "econom", "requirements": {"tariffs": array}}]},
            lambda array: {"tariffs": [array]},
            lambda array: [{"tariffs": array}],
        ]
    ),
)
def test_the_order_of_any_other_array_always_matters(
    array: list[Any], chance: random.Random, place: Callable[[list[Any]], Any]
) -> None:
    shuffled = deepcopy(array)
    chance.shuffle(shuffled)
    assert (differences(place(array), place(shuffled)) == []) == is_equal(array, shuffled)


@given(_bodies, _bodies)
def test_bodies_are_equal_exactly_when_a_naive_comparison_says_so(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert (differences(old, new) == []) == is_equal_body(old, new)
    assert (differences(new, old) == []) == is_equal_body(old, new)


@given(_bodies)
def test_the_number_of_equal_elements_counts(body: dict[str, Any]) -> None:
    assume(body["tariffs"])
    first, *others = body["tariffs"]
    assert differences(body, {**body, "tariffs": [first, first, *others]}) != []
    assert differences(body, {**body, "tariffs": others}) != []


def test_one_duplicate_does_not_stand_for_another() -> None:
    assert paths({"tariffs": [1, 1, 2]}, {"tariffs": [2, 2, 1]}) == ["/tariffs/1"]
    assert differences({"tariffs": [2, 1, 2.0, 1]}, {"tariffs": [1.0, 2, 1, 2]}) == []


@pytest.mark.parametrize(
    ("old", "new", "equal"),
    [
        (1, 1.0, True),
        (0, -0.0, True),
        (2**53 - 1, float(2**53 - 1), True),
        (1e300, int(1e300), True),
        (0.1, 0.1, True),
        (1, True, False),
        (0, False, False),
        (0, None, False),
        (0, "0", False),
        ("", None, False),
        ("\u00e9", "e\u0301", False),
        ([], {}, False),
        (0.1 + 0.2, 0.3, False),
    ],
)
def test_numbers_are_equal_by_value_and_types_never_mix(old: Any, new: Any, equal: bool) -> None:
    for place in (
        lambda value: value,
        lambda value: {"a": [value]},
        lambda value: {"tariffs": [3, value]},
        lambda value: {"tariffs": [{"category": "a", "requirements": value}]},
    ):
        assert (differences(place(old), place(new)) == []) is equal
    if abs(old if isinstance(old, float | int) else 0) < 2**53:
        assert (canonical(old) == canonical(new)) is equal


def test_null_is_not_absence() -> None:
    assert differences({"a": None}, {}) == [Difference(("a",), None, ABSENT)]
    assert differences({}, {"a": None}) == [Difference(("a",), ABSENT, None)]
    assert differences([], [None]) == [Difference((0,), ABSENT, None)]


# --- where


def resolve(document: Any, path: str) -> Any:
    """Follows a JSON pointer (RFC 6901), or returns ABSENT if it leads nowhere."""
    for token in path.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict):
            document = document.get(name, ABSENT)
        elif isinstance(document, list) and name.isdecimal():
            document = document[int(name)] if int(name) < len(document) else ABSENT
        else:
            return ABSENT
    return document


@given(_values, _values)
def test_pointers_lead_to_values_that_differ(old: Any, new: Any) -> None:
    assume(not (isinstance(old, dict) and isinstance(new, dict) and "tariffs" in old and "tariffs" in new))
    found = differences(old, new)
    assert len({pointer(one.path) for one in found}) == len(found)
    for one in found:
        ours, theirs = resolve(old, pointer(one.path)), resolve(new, pointer(one.path))
        assert not is_equal(ours, theirs)
        assert (ours, theirs) == (one.old, one.new)


@given(_bodies, _bodies)
def test_pointers_into_tariffs_lead_into_the_old_body_or_into_the_new_one_where_the_old_lacks_it(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    for one in differences(old, new):
        if one.old is not ABSENT:
            assert is_equal(resolve(old, pointer(one.path)), one.old)
        else:
            assert is_equal(resolve(new, pointer(one.path)), one.new)


def test_tariffs_are_compared_by_category_whatever_their_order() -> None:
    old = {"tariffs": [{"category": "a", "requirements": {"x": 1}}, {"category": "b", "requirements": {"y": [1, 2]}}]}
    new = {"tariffs": [{"category": "b", "requirements": {"y": [1, 3], "z": 0}}, {"category": "a", "requirements": {}}]}
    assert paths(old, new) == ["/tariffs/0/requirements/x", "/tariffs/1/requirements/y/1", "/tariffs/0/requirements/z"]


def test_tariffs_without_a_unique_category_are_compared_with_the_most_similar_ones() -> None:
    old = {"tariffs": [{"category": "a", "x": 1, "y": 1}, {"category": "a", "x": 2, "y": 2}]}
    new = {"tariffs": [{"category": "a", "x": 2, "y": 3}, {"category": "a", "x": 1, "y": 4}]}
    assert paths(old, new) == ["/tariffs/0/y", "/tariffs/1/y"]


def test_a_tariff_that_only_one_side_has_is_one_difference() -> None:
    old = {"tariffs": [{"category": "a"}, {"category": "b"}]}
    assert differences(old, {"tariffs": [{"category": "b"}]}) == [Difference(("tariffs", 0), {"category": "a"}, ABSENT)]
    assert differences({"tariffs": [{"category": "b"}]}, old) == [Difference(("tariffs", 0), ABSENT, {"category": "a"})]


@pytest.mark.parametrize(
    ("path", "text"), [((), ""), (("a/b", 0, "m~n"), "/a~1b/0/m~0n"), (("~1", ""), "/~01/"), (("\u044b",), "/\u044b")]
)
def test_pointers_are_written_as_rfc_6901_says(path: tuple[str | int, ...], text: str) -> None:
    assert pointer(path) == text


def test_the_first_hundred_differences_are_reported_and_that_there_are_more() -> None:
    old = Response(200, list(range(MAX_DIFFERENCES)))
    just = compare(READ, old, Response(200, [None] * MAX_DIFFERENCES))
    more = compare(READ, old, Response(200, [None] * (MAX_DIFFERENCES + 1)))
    assert (len(just.differences), just.truncated) == (100, False)
    assert (len(more.differences), more.truncated) == (100, True)
    assert [one.path for one in just.differences] == [(place,) for place in range(100)]


# --- verdicts


def state(revision: str, **fields: Any) -> Response:
    return Response(200, {"revision_id": revision, "selected_category": "", "tariffs": [], **fields})


def conflict(current: str) -> Response:
    return Response(
        409, {"code": "ABORTED", "reason": "REVISION_CONFLICT", "metadata": {"current_revision_id": current}}
    )


@pytest.mark.parametrize(
    ("kind", "old", "new", "verdict", "paths"),
    [
        (READ, state("7"), state("7"), Verdict.EQUAL, []),
        (READ, state("7"), state("7", selected_category="a"), Verdict.DIFFERENT, ["/selected_category"]),
        (READ, state("8", tariffs=[1]), state("7", tariffs=[2]), Verdict.BEHIND, ["/revision_id"]),
        (WRITE, state("8"), state("9"), Verdict.BEHIND, ["/revision_id"]),
        (WRITE, conflict("7"), conflict("7"), Verdict.EQUAL, []),
        (WRITE, conflict("7"), conflict("6"), Verdict.BEHIND, ["/metadata/current_revision_id"]),
        # The new back end holds 6, the old one held 7: it was written to, and the new one is not yet there.
        (WRITE, state("8"), conflict("6"), Verdict.BEHIND, None),
        (WRITE, conflict("9"), state("8"), Verdict.BEHIND, None),
        # Both hold 7, and still only one of them takes the update.
        (WRITE, state("8"), conflict("7"), Verdict.DIFFERENT, None),
        (READ, state("7"), Response(500, {}), Verdict.DIFFERENT, None),
        (READ, state("7"), Response(201, state("7").body), Verdict.DIFFERENT, []),
        (READ, state("x"), state("y"), Verdict.DIFFERENT, ["/revision_id"]),
        (READ, Response(200, {"revision_id": "7"}), Response(200, {}), Verdict.DIFFERENT, ["/revision_id"]),
        (READ, Response(200, [1]), Response(200, "x"), Verdict.DIFFERENT, [""]),
    ],
)
def test_responses_of_different_revisions_have_a_verdict_of_their_own(
    kind: Kind, old: Response, new: Response, verdict: Verdict, paths: list[str] | None
) -> None:
    comparison = compare(kind, old, new)
    assert comparison.verdict is verdict
    assert comparison.statuses_differ == (old.status != new.status)
    if paths is not None:
        assert [pointer(one.path) for one in comparison.differences] == paths


# --- bounds


def nested(levels: int, leaf: Any) -> Any:
    value = leaf
    for level in range(levels):
        value = {"a": value} if level % 2 else [value]
    return value


def test_a_hundred_levels_are_compared() -> None:
    assert differences(nested(100, 1), nested(100, 1.0)) == []
    assert [len(one.path) for one in differences(nested(100, 1), nested(100, 2))] == [100]
    (found,) = differences({"tariffs": [nested(99, 1)]}, {"tariffs": [nested(99, 2)]})
    assert found.path[:2] == ("tariffs", 0)


MIB = 1024 * 1024
LARGE: dict[str, Callable[[int], Any]] = {
    "numbers": lambda seed: {"other": [number + seed for number in range(MIB // 7)]},
    "tariffs": lambda seed: {"tariffs": [{"category": f"t{number}", "requirements": {"a": number + seed}}
                                         for number in range(MIB // 50)]},
    "tariffs without category": lambda seed: {"tariffs": [[number, seed] for number in range(MIB // 9)]},
    "tariffs of one category": lambda seed: {"tariffs": [{"category": "a", "x": number, "y": seed}
                                                         for number in range(MIB // 40)]},
    "few large tariffs": lambda seed: {"tariffs": [{f"n{number}": number + seed for number in range(MIB // 20 // 12)}
                                                   for _ in range(20)]},
    "deep ones": lambda seed: {"tariffs": [nested(95, [number, seed]) for number in range(MIB // 500)]},
    "names": lambda seed: {f"name-{number}-{seed}": 1 for number in range(MIB // 18)},
    "one text": lambda seed: {"a": "x" * MIB + str(seed)},
}  # fmt: skip


@pytest.mark.parametrize("make", LARGE.values(), ids=LARGE.keys())
@pytest.mark.parametrize("seed", [1, 2], ids=["equal", "different"])
def test_a_mebibyte_is_compared_in_time(make: Callable[[int], Any], seed: int) -> None:
    old, new = make(1), make(seed)
    assert len(json.dumps(old)) > MIB * 0.7
    # What this process computes; the machine may be busy with others. A second is measured at most; a comparison of
    # each element with each other one would take minutes.
    began = time.process_time()
    comparison = compare(READ, Response(200, old), Response(200, new))
    assert time.process_time() - began < 20
    assert comparison.verdict is (Verdict.EQUAL if seed == 1 else Verdict.DIFFERENT)
