"""The rules of documents and updates, without a database."""

from __future__ import annotations

import contextlib
import copy
import json
import math
from collections.abc import Callable

import pytest
from hypothesis import assume, given, reject
from hypothesis import strategies as st

from ridehail_kernel.json_values import ABSENT, MAX_SAFE_INTEGER, Absence, JsonObject, JsonValue, from_struct, to_struct
from ridehail_servers.chassis.errors import DomainError, InvalidRequest
from ridehail_servers.chassis.json_limits import MAX_DEPTH, count_values
from ridehail_servers.reference.order_core.document import (
    MAX_VALUES,
    check_size,
    new_document,
    select,
    value_at,
    version_of,
)
from ridehail_servers.reference.order_core.errors import OrderFieldTypeMismatch
from ridehail_servers.reference.order_core.update import Update, apply


def a_document(**fields: JsonValue) -> JsonObject:
    return new_document({"order": {"version": 7, "status": "driving"}, **fields})


def nested(levels: int) -> JsonValue:
    value: JsonValue = 1
    for _ in range(levels):
        value = {"a": value}
    return value


def violations_of(make: Callable[[], object]) -> list[tuple[str, str]]:
    with pytest.raises(InvalidRequest) as caught:
        make()
    return [(violation.field, violation.reason) for violation in caught.value.violations]


# --- reading


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a", {"b": {"c": 1}}),
        ("a.b.c", 1),
        ("null", None),
        ("array", [{"x": 1}]),
        ("array.0", ABSENT),
        ("array.x", ABSENT),
        ("null.x", ABSENT),
        ("a.b.c.d", ABSENT),
        ("nothing", ABSENT),
    ],
)
def test_a_path_leads_through_objects_only(path: str, value: object) -> None:
    document = a_document(a={"b": {"c": 1}}, null=None, array=[{"x": 1}])

    assert value_at(document, path) == value


@pytest.mark.parametrize(
    ("paths", "selected"),
    [
        (["a.b", "a.c", "nothing.here"], {"a": {"b": 1, "c": {"d": 2}}}),
        (["a.c.d", "a"], {"a": {"b": 1, "c": {"d": 2}, "e": 3}}),
        (["a", "a.c.d"], {"a": {"b": 1, "c": {"d": 2}, "e": 3}}),
        (["a.b", "a.b"], {"a": {"b": 1}}),
        (["a.b.x", "nothing"], {}),
    ],
)
def test_selected_fields_are_nested_as_in_the_document(paths: list[str], selected: JsonObject) -> None:
    document = a_document(a={"b": 1, "c": {"d": 2}, "e": 3})

    assert select(document, paths) == selected


# --- new documents


@pytest.mark.parametrize(
    ("given_document", "version"),
    [({}, 1), ({"order": {}}, 1), ({"order": {"version": 0}}, 0), ({"order": {"version": 2**53 - 1}}, 2**53 - 1)],
)
def test_a_new_document_is_at_its_own_version_or_at_the_first(given_document: JsonObject, version: int) -> None:
    assert version_of(new_document(given_document)) == version


@pytest.mark.parametrize(
    ("given_document", "violation"),
    [
        ({"order": []}, ('document["order"]', "put_order.version")),
        ({"order": None}, ('document["order"]', "put_order.version")),
        ({"order": {"version": "1"}}, ('document["order"]["version"]', "put_order.version")),
        ({"order": {"version": None}}, ('document["order"]["version"]', "put_order.version")),
        ({"order": {"version": True}}, ('document["order"]["version"]', "put_order.version")),
        ({"order": {"version": 1.5}}, ('document["order"]["version"]', "put_order.version")),
        ({"order": {"version": 1e17}}, ('document["order"]["version"]', "put_order.version")),
        ({"order": {"version": -1}}, ('document["order"]["version"]', "put_order.version")),
    ],
)
def test_a_document_that_cannot_be_stored_is_refused(given_document: JsonObject, violation: tuple[str, str]) -> None:
    assert violations_of(lambda: new_document(given_document)) == [violation]


def test_a_document_has_at_most_max_values() -> None:
    largest = a_document(a=[0] * (MAX_VALUES - 4))  # beside the list: "a", "order", its "version" and "status"
    assert count_values(largest) == MAX_VALUES
    check_size(largest)

    with pytest.raises(InvalidRequest):
        check_size(a_document(a=[0] * (MAX_VALUES - 3)))


def test_the_deepest_document_can_be_returned() -> None:
    document = new_document({"a": nested(MAX_DEPTH - 1)})

    answered = to_struct(document).SerializeToString()

    assert from_struct(type(to_struct({})).FromString(answered)) == document


# --- updates


@pytest.mark.parametrize(
    ("update", "changed"),
    [
        (Update(set={"a.b.c": 1}), {"a": {"b": {"c": 1}}}),
        (Update(set={"x": None}), {"x": None}),
        (Update(set={"array": {}}), {"array": {}}),
        (Update(set={"object.a.b": 2}), {"object": {"a": {"a": 1, "b": 2}, "c": 1}}),
        (Update(set={"new.a": 1, "new.b": 2}, unset=["new.c"]), {"new": {"a": 1, "b": 2}}),
        (Update(unset=["object.a.a"]), {"object": {"a": {}, "c": 1}}),
        (Update(unset=["object"]), {"object": ABSENT}),
        (Update(unset=["nothing", "nothing2.at.all", "text.part", "array.0"]), {}),
        (Update(push={"array": [2, [3]]}), {"array": [1, 2, [3]]}),
        (Update(push={"new.array": []}), {"new": {"array": []}}),
        (Update(increment={"number": -5, "new.number": 3}), {"number": 0, "new": {"number": 3}}),
        (Update(increment={"order.version": 1}), {}),
        (Update(call_processing=True), {}),
    ],
)
def test_an_update_changes_what_it_names(update: Update, changed: dict[str, object]) -> None:
    before = a_document(object={"a": {"a": 1}, "c": 1}, text="t", array=[1], number=5)

    after = apply(update, before, order_id="order")

    expected = {**before, "order": {"version": 8, "status": "driving"}, **changed}
    assert after == {name: value for name, value in expected.items() if value is not ABSENT}


@pytest.mark.parametrize(
    ("update", "path"),
    [
        (Update(set={"text.a.b": 1}), "text"),
        (Update(set={"null.a": 1}), "null"),
        (Update(set={"array.0": 1}), "array"),
        (Update(set={"object.number.a": 1}), "object.number"),
        (Update(set={"order.version.a": 1}), "order.version"),
        (Update(push={"text": [1]}), "text"),
        (Update(push={"object": [1]}), "object"),
        (Update(push={"null": [1]}), "null"),
        (Update(push={"text.a": [1]}), "text"),
        (Update(increment={"text": 1}), "text"),
        (Update(increment={"null": 1}), "null"),
        (Update(increment={"flag": 1}), "flag"),
        (Update(increment={"half": 1}), "half"),
        (Update(increment={"order": 1}), "order"),
        (Update(increment={"largest": 1}), "largest"),
        (Update(increment={"huge": 1}), "huge"),
        (Update(increment={"object.number.a": 1}), "object.number"),
    ],
)
def test_a_value_of_another_kind_is_named_by_its_path(update: Update, path: str) -> None:
    document = a_document(
        text="t", null=None, array=[1], object={"number": 1}, flag=True, half=0.5, largest=MAX_SAFE_INTEGER, huge=1e20
    )

    with pytest.raises(OrderFieldTypeMismatch) as caught:
        apply(update, document, order_id="order-1")

    assert caught.value.metadata == {"order_id": "order-1", "path": path}


@pytest.mark.parametrize(
    ("increment", "version"), [({}, 8), ({"order.version": 1}, 8), ({"order.version": 5}, 12), ({"a": 5}, 8)]
)
def test_the_version_rises_by_what_the_update_increments_it_else_by_one(
    increment: dict[str, int], version: int
) -> None:
    after = apply(Update(set={"x": 1}, increment=increment), a_document(), order_id="order")

    assert version_of(after) == version


def test_a_version_at_its_maximum_is_a_mismatch() -> None:
    document = new_document({"order": {"version": MAX_SAFE_INTEGER}})

    with pytest.raises(OrderFieldTypeMismatch) as caught:
        apply(Update(call_processing=True), document, order_id="order")

    assert caught.value.metadata["path"] == "order.version"


@pytest.mark.parametrize(
    ("changes", "violations"),
    [
        ({}, [("", "set_order_fields.empty")]),
        ({"set": {"a": 1}, "unset": ["a"]}, [("unset[0]", "set_order_fields.overlap")]),
        ({"unset": ["a", "a"]}, [("unset[1]", "set_order_fields.overlap")]),
        ({"set": {"a": 1, "a.b": 1, "a-b": 1}}, [('set["a.b"]', "set_order_fields.overlap")]),
        ({"push": {"a.b.c": [1]}, "increment": {"a": 1}}, [('push["a.b.c"]', "set_order_fields.overlap")]),
        (
            {"set": {"a": 1}, "push": {"a.b": [1]}, "increment": {"a.c.d": 1}},
            [('push["a.b"]', "set_order_fields.overlap"), ('increment["a.c.d"]', "set_order_fields.overlap")],
        ),
        ({"set": {"order.version": 9}}, [('set["order.version"]', "set_order_fields.version")]),
        ({"set": {"order": {}}}, [('set["order"]', "set_order_fields.version")]),
        ({"unset": ["x", "order"]}, [("unset[1]", "set_order_fields.version")]),
        ({"unset": ["order.version"]}, [("unset[0]", "set_order_fields.version")]),
        ({"push": {"order.version": [1]}}, [('push["order.version"]', "set_order_fields.version")]),
        ({"push": {"order": [1]}}, [('push["order"]', "set_order_fields.version")]),
        ({"increment": {"order.version": 0}}, [('increment["order.version"]', "set_order_fields.version")]),
        ({"increment": {"order.version": -1}}, [('increment["order.version"]', "set_order_fields.version")]),
        ({"set": {"a.b": [math.nan, 1]}}, [('set["a.b"][0]', "json.number")]),
        ({"push": {"a": [1, {"b": "\0"}]}}, [('push["a"][1]["b"]', "json.no_nul")]),
        ({"set": {"a.b": nested(MAX_DEPTH - 2)}}, None),
        ({"set": {"a.b": nested(MAX_DEPTH - 1)}}, [('set["a.b"]' + '["a"]' * (MAX_DEPTH - 2), "json.depth")]),
        ({"push": {"a": [nested(MAX_DEPTH - 2)]}}, None),
        ({"push": {"a": [nested(MAX_DEPTH - 1)]}}, [('push["a"][0]' + '["a"]' * (MAX_DEPTH - 2), "json.depth")]),
    ],
)
def test_changes_that_break_a_rule_are_refused(
    changes: dict[str, object], violations: list[tuple[str, str]] | None
) -> None:
    def make() -> object:
        return Update(**changes)  # type: ignore[arg-type]  # a table of mixed arguments

    if violations is None:
        make()
    else:
        assert violations_of(make) == violations


# --- properties

whole_numbers = st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
# Few names, so that paths often meet.
names = st.sampled_from(["a", "b", "c", "a-b"])
paths = st.lists(names, min_size=1, max_size=4).map(".".join)
values: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | whole_numbers | st.floats(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER) | texts,
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(names | texts, parts, max_size=3),
    max_leaves=8,
)
documents = st.dictionaries(names, values, max_size=4).map(
    lambda fields: new_document({**fields, "order": {"version": 7}})
)
amounts = st.integers(-(10**9), 10**9)


@st.composite
def updates(draw: st.DrawFn) -> Update:
    """Updates with up to five changes that keep the rules."""
    changes: dict[str, dict[str, object]] = {"set": {}, "unset": {}, "push": {}, "increment": {}}
    contents = {"set": values, "unset": st.none(), "push": st.lists(values, max_size=2), "increment": amounts}
    for kind in draw(st.lists(st.sampled_from(sorted(changes)), min_size=1, max_size=5)):
        changes[kind][draw(paths)] = draw(contents[kind])
    version = draw(st.none() | st.integers(1, 10**9))
    if version is not None:
        changes["increment"]["order.version"] = version
    try:
        return Update(**{**changes, "unset": tuple(changes["unset"])})  # type: ignore[arg-type]
    except InvalidRequest:
        reject()


def touches(path: str, other: str) -> bool:
    return f"{path}.".startswith(f"{other}.") or f"{other}.".startswith(f"{path}.")


def leaves(value: JsonValue, prefix: str = "") -> dict[str, JsonValue]:
    """Returns every value that is not a non-empty object, by its path."""
    if isinstance(value, dict) and value:
        found: dict[str, JsonValue] = {}
        for name, part in value.items():
            found |= leaves(part, f"{prefix}.{name}" if prefix else name)
        return found
    return {prefix: value}


@given(documents, paths, values)
def test_a_set_value_is_read_back(document: JsonObject, path: str, value: JsonValue) -> None:
    try:
        after = apply(Update(set={path: value}), document, order_id="order")
    except OrderFieldTypeMismatch:
        reject()

    assert value_at(after, path) == value
    assert value_at(select(after, [path]), path) == value


@given(documents, paths)
def test_a_path_cannot_be_set_exactly_when_it_leads_through_another_kind_of_value(
    document: JsonObject, path: str
) -> None:
    ways = [path[:at] for at, character in enumerate(path) if character == "."]
    blocking = [way for way in ways if not isinstance(value_at(document, way), dict | Absence)]
    update = Update(set={path: 1})

    if blocking:
        with pytest.raises(OrderFieldTypeMismatch) as caught:
            apply(update, document, order_id="order")
        assert caught.value.metadata["path"] == blocking[0]
    else:
        assert value_at(apply(update, document, order_id="order"), path) == 1


@given(documents, updates())
def test_an_update_does_what_each_of_its_changes_says(document: JsonObject, update: Update) -> None:
    try:
        after = apply(update, document, order_id="order")
    except OrderFieldTypeMismatch:
        return

    for path, value in update.set.items():
        assert value_at(after, path) == value
    for path in update.unset:
        assert value_at(after, path) is ABSENT
    for path, elements in update.push.items():
        old = value_at(document, path)
        assert value_at(after, path) == [*(old if isinstance(old, list) else []), *elements]
    for path, amount in update.increment.items():
        old = value_at(document, path)
        assert value_at(after, path) == (old if isinstance(old, int) else 0) + amount


@given(documents, updates())
def test_paths_that_no_change_touches_stay_as_they_were(document: JsonObject, update: Update) -> None:
    try:
        after = apply(update, document, order_id="order")
    except OrderFieldTypeMismatch:
        return

    touched = ["order.version", *update.set, *update.unset, *update.push, *update.increment]
    before_leaves, after_leaves = leaves(document), leaves(after)
    untouched = {path for path in before_leaves.keys() | after_leaves if not any(touches(path, one) for one in touched)}
    # An object that lost its last part shows as an empty leaf; it is on the way to a touched path.
    assert {path: before_leaves.get(path, ABSENT) for path in untouched} == {
        path: after_leaves.get(path, ABSENT) for path in untouched
    }


@given(documents, updates())
def test_the_document_and_the_update_are_never_changed(document: JsonObject, update: Update) -> None:
    document_before, update_before = copy.deepcopy(document), copy.deepcopy(update)
    with contextlib.suppress(OrderFieldTypeMismatch):
        apply(update, document, order_id="order")

    assert (document, update) == (document_before, update_before)


@given(documents, updates())
def test_the_version_grows_with_every_update(document: JsonObject, update: Update) -> None:
    try:
        after = apply(update, document, order_id="order")
    except OrderFieldTypeMismatch:
        return

    assert version_of(after) == version_of(document) + update.increment.get("order.version", 1)
    assert version_of(after) > version_of(document)


@given(documents, st.permutations(["set", "unset", "push", "increment"]), paths, paths, values)
def test_two_updates_in_turn_equal_one_with_both_changes(
    document: JsonObject, kinds: list[str], path: str, other: str, value: JsonValue
) -> None:
    assume(not touches(path, other))
    contents = {"set": value, "push": [value], "increment": 3}

    def change(kind: str, at: str) -> dict[str, object]:
        return {"unset": (at,)} if kind == "unset" else {kind: {at: contents[kind]}}

    def result(*changes: dict[str, object]) -> object:
        changed = document
        try:
            for one in changes:
                changed = apply(Update(**one), changed, order_id="order")  # type: ignore[arg-type]
        except OrderFieldTypeMismatch:
            return "refused"
        return {**changed, "order": {}}

    first, second = change(kinds[0], path), change(kinds[1], other)

    assert result({**first, **second}) == result(first, second) == result(second, first)


@given(
    st.lists(st.tuples(st.sampled_from(["set", "unset", "push", "increment"]), paths), max_size=4, unique=True),
    st.sampled_from(["set", "unset", "push", "increment"]),
    st.sampled_from(["set", "unset", "push", "increment"]),
    paths,
    st.lists(names, max_size=2),
)
def test_changes_of_a_path_and_its_part_are_always_refused(
    others: list[tuple[str, str]], kind: str, other_kind: str, path: str, rest: list[str]
) -> None:
    part = ".".join([path, *rest])
    changes = {*others, (kind, path), (other_kind, part)}
    assume(len({(kind, path), (other_kind, part)}) == 2)

    violations = violations_of(
        lambda: Update(
            set={path: 1 for kind, path in changes if kind == "set"},
            unset=[path for kind, path in changes if kind == "unset"],
            push={path: [1] for kind, path in changes if kind == "push"},
            increment={path: 1 for kind, path in changes if kind == "increment"},
        )
    )

    assert {rule for _field, rule in violations} == {"set_order_fields.overlap"}


@given(documents, updates())
def test_an_updated_document_survives_json_and_protobuf(document: JsonObject, update: Update) -> None:
    try:
        after = apply(update, document, order_id="order")
    except DomainError:
        return

    assert json.loads(json.dumps(after)) == after
    assert from_struct(to_struct(after)) == after
