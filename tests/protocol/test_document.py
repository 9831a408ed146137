"""How the old back end's document is changed."""

from __future__ import annotations

from ridehail_servers.personal_state_backend.state import EMPTY, PersonalState, StateChange
from ridehail_servers.reference.protocol.document import changed, document_of, state_of

STATE = PersonalState(3, "econom", {"vip": {"a": 1}, "econom": {"b": 2}})


def test_settings_that_are_replaced_become_the_latest() -> None:
    after = changed(STATE, StateChange("3", None, {"vip": {"c": 3}}))
    assert after == PersonalState(4, "econom", {"econom": {"b": 2}, "vip": {"c": 3}})
    assert list(after.tariffs) == ["econom", "vip"]
    assert list(STATE.tariffs) == ["vip", "econom"]


def test_an_empty_category_is_a_choice_and_no_category_is_none() -> None:
    assert changed(STATE, StateChange("3", "", {})).selected_category == ""
    assert changed(STATE, StateChange("3", None, {})).selected_category == "econom"
    assert changed(EMPTY, StateChange("0", None, {})) == PersonalState(1, "", {})


def test_a_document_holds_the_state_that_it_was_made_from() -> None:
    assert state_of(document_of(STATE)) == STATE
    assert [tariff["category"] for tariff in document_of(STATE)["tariffs"]] == ["vip", "econom"]
    assert state_of(None) == EMPTY
