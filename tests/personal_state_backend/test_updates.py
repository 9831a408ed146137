"""What an update changes, what it leaves alone, and when it is refused. The same of both back ends."""

from __future__ import annotations

from typing import Any

import grpc

from ridehail_servers.personal_state_backend.state import MAX_BYTES, MAX_TARIFFS
from tests.personal_state_backend.backends import BackEnd, by_category

VALUES: list[Any] = [
    *(0, 1, 1.5, -7, 0.1, -1e-300, 2**53 - 1, 1 - 2**53, 5e-324),
    *(True, False, None, "", "\u2028", "\U0001f695", {}, []),
]
NO_REVISIONS = ["0", "2", "-1", "00", "01", "0 ", "0x1", "1e0", "\u0660", "abc", "9" * 18, "9" * 100]


def deep(levels: int) -> dict[str, Any]:
    """Returns nested objects and arrays, alternating."""
    value: Any = {} if levels % 2 else []
    for level in range(levels - 1, 0, -1):
        value = {"a": value} if level % 2 else [value]
    assert isinstance(value, dict)
    return value


async def test_a_user_who_has_set_nothing_has_an_empty_state_of_revision_0(back_end: BackEnd) -> None:
    state = await back_end.get()
    assert (state.revision_id, state.selected_category, state.tariffs) == ("0", "", ())
    assert state.body == {"revision_id": "0", "selected_category": "", "tariffs": []}


async def test_an_update_returns_the_state_that_the_next_read_returns(back_end: BackEnd) -> None:
    updated = await back_end.update("0", "econom", {"econom": {"nosmoking": True}, "vip": {}})
    assert updated.revision_id == "1"
    assert updated.selected_category == "econom"
    assert by_category(updated.tariffs) == {"econom": {"nosmoking": True}, "vip": {}}
    assert await back_end.get() == updated
    assert (await back_end.get("another")).revision_id == "0"


async def test_fields_that_an_update_omits_stay(back_end: BackEnd) -> None:
    await back_end.update("0", "econom", {"econom": {"a": 1, "b": 2}, "vip": {"c": 3}})
    changed = await back_end.update("1", None, {"econom": {"d": 4}})
    assert changed.selected_category == "econom"
    assert by_category(changed.tariffs) == {"econom": {"d": 4}, "vip": {"c": 3}}
    unset = await back_end.update("2", "", {})
    assert (unset.revision_id, unset.selected_category) == ("3", "")
    assert by_category(unset.tariffs) == {"econom": {"d": 4}, "vip": {"c": 3}}
    untouched = await back_end.update("3")
    assert untouched.revision_id == "4"
    assert untouched.tariffs == unset.tariffs


async def test_another_revision_is_a_conflict_that_names_the_current_one(
    back_end: BackEnd,
) -> None:
    await back_end.update("0", "vip")
    before = await back_end.everything()
    for stale in NO_REVISIONS:
        error = await back_end.refused(stale, "econom")
        assert (error.code, error.reason) == (grpc.StatusCode.ABORTED, "REVISION_CONFLICT")
        assert dict(error.metadata) == {"current_revision_id": "1"}
        if stale != "0":
            assert dict((await back_end.refused(stale, uid="new")).metadata) == {"current_revision_id": "0"}
    assert dict((await back_end.refused("1", uid="new")).metadata) == {"current_revision_id": "0"}
    assert await back_end.everything() == before


async def test_every_json_value_comes_back_as_it_was(back_end: BackEnd) -> None:
    given = {"bare": VALUES, "in": {"an": [[one, [one]] for one in VALUES]}, "\u044b \" '": {}, "": []}
    updated = await back_end.update("0", None, {"econom": given})
    assert by_category(updated.tariffs) == {"econom": given}
    assert [type(one) for one in by_category(updated.tariffs)["econom"]["bare"]] == [type(one) for one in VALUES]
    assert await back_end.get() == updated
    (copied,) = await back_end.copies(page_size=2)
    assert by_category(copied.tariffs) == {"econom": given}


async def test_a_state_has_at_most_200_tariffs(back_end: BackEnd) -> None:
    many = [f"tariff-{number}" for number in range(MAX_TARIFFS)]
    await back_end.update("0", None, {category: {} for category in many[:100]})
    await back_end.update("1", None, {category: {} for category in many[100:]})
    await back_end.update("2", None, {category: {"a": 1} for category in many[50:150]})
    before = await back_end.everything()
    error = await back_end.refused("3", None, {"one-more": {}})
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "PERSONAL_STATE_TOO_LARGE")
    assert dict(error.metadata) == {"max_bytes": "65536", "max_tariffs": "200", "max_values": "1500"}
    assert await back_end.everything() == before


async def test_a_state_has_at_most_1500_values(back_end: BackEnd) -> None:
    await back_end.update("0", None, {"a": {"b": [0] * 1498}})
    before = await back_end.everything()
    error = await back_end.refused("1", None, {"c": {}})
    assert (error.reason, error.metadata["max_values"]) == ("PERSONAL_STATE_TOO_LARGE", "1500")
    assert await back_end.everything() == before


async def test_a_state_has_at_most_64_kib_of_json_whatever_its_letters(back_end: BackEnd) -> None:
    frame = len('{"selected_category":"","tariffs":[{"category":"a","requirements":{"b":""}}]}')
    letter = "\u044b"
    most = (MAX_BYTES - frame) // 2
    assert (await back_end.refused("0", None, {"a": {"b": letter * (most + 1)}})).reason == "PERSONAL_STATE_TOO_LARGE"
    await back_end.update("0", None, {"a": {"b": letter * most}})
    # An update that is too large only together with the stored state is refused as well; a conflict comes first.
    assert (await back_end.refused("1", None, {"c": {}})).reason == "PERSONAL_STATE_TOO_LARGE"
    assert (await back_end.refused("0", None, {"c": {}})).reason == "REVISION_CONFLICT"
    await back_end.update("1", None, {"a": {}})
    assert by_category((await back_end.update("2", None, {"c": {}})).tariffs) == {"a": {}, "c": {}}


async def test_requirements_nest_25_levels_deep(back_end: BackEnd) -> None:
    assert by_category((await back_end.update("0", None, {"a": deep(25)})).tariffs) == {"a": deep(25)}
    error = await back_end.refused("1", None, {"a": {}, "b": deep(26)})
    (violation,) = error.violations
    assert violation.reason == "json.depth"
    assert violation.field.startswith('tariffs[1].requirements["a"][0]["a"]')
    # As deep as it is, it can be copied.
    assert await back_end.take(*await back_end.copies(page_size=1)) == 0
