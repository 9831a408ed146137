"""What launch returns in place of order_state: the known orders as they are, and where to ask again."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from ridehail.orderstate.v1.order_state_pb2 import AllowedChanges, KnownOrder, PollingPolicy
from ridehail_kernel.json_values import from_struct
from ridehail_servers.api_proxy.launch.config import PollingPolicyEntry, PollingRules
from ridehail_servers.api_proxy.launch.local_state import local_state


def part(service: str, name: str, priority: int, **others: Any) -> PollingPolicyEntry:
    return PollingPolicyEntry(
        service=service,
        part_name=name,
        url=f"/{name}",
        fields=("field",),
        polling_type="tag_defined",
        part_type="totw",
        priority=priority,
        **others,
    )


RULES = PollingRules(
    max_active_orders={"taxi": 2, "eats": 1},
    polling_policy=(
        part("taxi", "late", 3),
        part("market", "goods", 1),
        part("taxi", "first", 1, required=True),
        part("eats", "tracking", 2, required=False),
        part("taxi", "also_late", 3),
    ),
)
EVERYTHING = ("market", "eats", "taxi")


def order(service: str, orderid: str = "order", **members: Any) -> KnownOrder:
    return KnownOrder(orderid=orderid, service=service, **members)


def test_orders_come_back_in_their_order_as_the_app_knows_them() -> None:
    known = [
        order("eats", "e", status="cooking", tags={"tracking": "1"}, details={"dish": "soup"}),
        order("taxi", "t", status="driving"),
    ]
    state = local_state(known, supported_services=EVERYTHING, rules=RULES)
    assert [
        (one.service, one.orderid, one.status, dict(one.tags), from_struct(one.details)) for one in state.orders
    ] == [
        ("eats", "e", "cooking", {"tracking": "1"}, {"dish": "soup"}),
        ("taxi", "t", "driving", {}, {}),
    ]
    assert [one.HasField("details") for one in state.orders] == [True, False]
    assert {one.update_status for one in state.orders} == {"stale"}
    assert [one.need_request for one in state.orders] == [[], []]


def test_by_force_all_parts_are_to_be_fetched_those_of_the_policy_first() -> None:
    tags = {"zebra": "1", "first": "1", "apple": "1"}
    (taxi,) = local_state([order("taxi", force=True, tags=tags)], supported_services=EVERYTHING, rules=RULES).orders
    assert taxi.need_request == ["first", "late", "also_late", "apple", "zebra"]
    assert taxi.tags == tags


@pytest.mark.parametrize(("service", "supported"), [("taxi", ["eats"]), ("nowhere", ["nowhere", "eats"])])
def test_an_order_of_a_service_that_is_not_supported_or_does_not_exist_is_untouched(
    service: str, supported: list[str]
) -> None:
    known = order(service, force=True, status="x", tags={"first": "1"})
    state = local_state([known], supported_services=supported, rules=RULES)
    (one,) = state.orders
    assert (one.status, dict(one.tags), list(one.need_request), one.update_status) == ("x", {"first": "1"}, [], "stale")
    assert set(state.tags) == {"eats"}


def test_each_supported_service_that_exists_has_a_tag_and_a_word_on_more_orders() -> None:
    state = local_state([], supported_services=(*EVERYTHING, "nowhere"), rules=RULES)
    assert set(state.tags) == set(EVERYTHING)
    assert all(state.tags.values())
    assert [one.service for one in state.allowed_changes] == list(EVERYTHING)
    assert local_state([], supported_services=["nowhere"], rules=RULES).tags == {}


@pytest.mark.parametrize(("orders", "may"), [(0, True), (1, True), (2, False), (3, False)])
def test_the_known_orders_of_a_service_are_counted_against_its_limit(orders: int, may: bool) -> None:
    known = [order("taxi", str(number)) for number in range(orders)] + [order("eats", "e")]
    state = local_state(known, supported_services=["taxi", "market"], rules=RULES)
    reason = None if may else "too_many_orders"
    assert state.allowed_changes == [
        AllowedChanges(service="taxi", can_make_more_orders=may, no_more_orders_reason=reason),
        AllowedChanges(service="market", can_make_more_orders=True),
    ]


def test_the_policy_is_that_of_the_supported_services_by_priority() -> None:
    state = local_state([], supported_services=["eats", "taxi"], rules=RULES)
    assert [one.part_name for one in state.polling_policy] == ["first", "tracking", "late", "also_late"]
    assert state.polling_policy[0] == PollingPolicy(
        service="taxi",
        part_name="first",
        url="/first",
        fields=("field",),
        polling_type="tag_defined",
        part_type="totw",
        priority=1,
        required=True,
    )
    required = [one.required if one.HasField("required") else None for one in state.polling_policy]
    assert required == [True, False, None, None]


@pytest.mark.parametrize("priority", [-(2**31), -1, 2**31 - 1])
def test_a_priority_is_any_number_that_the_contract_holds(priority: int) -> None:
    assert part("taxi", "first", priority).priority == priority


@pytest.mark.parametrize("priority", [-(2**31) - 1, 2**31])
def test_a_priority_that_the_contract_does_not_hold_is_refused(priority: int) -> None:
    with pytest.raises(ValidationError):
        part("taxi", "first", priority)


def test_apps_draw_their_next_poll_themselves_so_that_they_do_not_poll_together() -> None:
    rules = RULES.model_copy(update={"polling_interval_s": 20, "polling_longest_pause_s": 60})
    schedule = local_state([], supported_services=EVERYTHING, rules=rules).polling_schedule
    assert (schedule.interval_ms, schedule.longest_pause_ms, schedule.HasField("next_poll_ms")) == (
        20_000,
        60_000,
        False,
    )
    assert not local_state([], supported_services=EVERYTHING, rules=RULES).HasField("polling_schedule")
