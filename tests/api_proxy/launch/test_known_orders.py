"""The orders that an app sends to launch: what the contract knows of them is checked, what it does not comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st

from ridehail.orderstate.v1.order_state_api_pb2 import GetOrdersStateResponse
from ridehail.orderstate.v1.order_state_pb2 import KnownOrder, OrderState
from ridehail_kernel.json_values import to_struct
from ridehail_servers.api_proxy.launch.codec import OtherMembers, launch_response, read_known_orders
from ridehail_servers.chassis.errors import InvalidRequest

GOOD: dict[str, Any] = {"orderid": "order", "service": "taxi"}
MEMBERS = set(KnownOrder.DESCRIPTOR.fields_by_name)
TOLD = set(OrderState.DESCRIPTOR.fields_by_name)


def violations(*orders: Struct | Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Returns field, rule and description of what is wrong with these orders."""
    sent = [order if isinstance(order, Struct) else to_struct(order) for order in orders]
    with pytest.raises(InvalidRequest) as caught:
        read_known_orders(sent)
    return [(one.field, one.reason, one.description) for one in caught.value.violations]


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in GOOD.items() if key != name}


NO_STRINGS: tuple[Any, ...] = (7, True, [], ["order"], {}, {"a": "b"})
NO_BOOLEANS: tuple[Any, ...] = (0, 1, "true", "", [], {})
NO_OBJECTS: tuple[Any, ...] = (7, True, "x", "", [], [{}])
KINDS: list[tuple[str, Any, str]] = [
    *((name, value, "must be a string") for name in ("orderid", "service", "status") for value in NO_STRINGS),
    *(("force", value, "must be true or false") for value in NO_BOOLEANS),
    *((name, value, "must be an object") for name in ("tags", "details") for value in NO_OBJECTS),
]


@pytest.mark.parametrize(("name", "value", "must_be"), KINDS)
def test_a_member_of_another_kind_is_named_with_what_it_must_be(name: str, value: Any, must_be: str) -> None:
    assert violations(GOOD | {"orderid": "first"}, GOOD | {name: value}) == [
        (f"known_orders[1].{name}", "known_order.kind", must_be)
    ]


@pytest.mark.parametrize("value", [7, True, None, [], {}])
def test_a_tag_that_is_no_string_is_named(value: Any) -> None:
    order = GOOD | {"tags": {"good": "tag", "x": value}}
    assert violations(order) == [('known_orders[0].tags["x"]', "known_order.kind", "must be a string")]


BAD_ID = "must be 1 to 128 printable characters"
RULES: dict[str, tuple[Mapping[str, Any], str, str, str]] = {
    "no order": (without("orderid"), "orderid", "string.id", BAD_ID),
    "no service": (without("service"), "service", "string.id", BAD_ID),
    "an order that is null": (GOOD | {"orderid": None}, "orderid", "string.id", BAD_ID),
    "an empty service": (GOOD | {"service": ""}, "service", "string.id", BAD_ID),
    "an endless order": (GOOD | {"orderid": "x" * 129}, "orderid", "string.id", BAD_ID),
    "an order of two lines": (GOOD | {"orderid": "a\nb"}, "orderid", "string.id", BAD_ID),
    "an endless status": (GOOD | {"status": "x" * 129}, "status", "string.max_len", "must be at most 128 characters"),
    "a part without a name": (GOOD | {"tags": {"": "tag"}}, 'tags[""]', "string.id", BAD_ID),
    "a part with an endless name": (
        GOOD | {"tags": {"x" * 129: "tag"}},
        f'tags["{"x" * 129}"]',
        "string.id",
        BAD_ID,
    ),
    "an endless tag": (
        GOOD | {"tags": {"part": "x" * 257}},
        'tags["part"]',
        "string.max_len",
        "must be at most 256 characters",
    ),
    "too many parts": (
        GOOD | {"tags": {f"part-{number}": "" for number in range(21)}},
        "tags",
        "map.max_pairs",
        "map must be at most 20 entries",
    ),
}


@pytest.mark.parametrize(("order", "field", "rule", "must_be"), RULES.values(), ids=RULES.keys())
def test_the_rules_of_the_contract_hold_for_the_object(
    order: Mapping[str, Any], field: str, rule: str, must_be: str
) -> None:
    assert violations(order) == [(f"known_orders[0].{field}", rule, must_be)]


def test_all_that_is_wrong_is_told() -> None:
    wrong = {"orderid": 7, "status": "x" * 129, "force": 1, "tags": {"b": "x" * 257, "c": [], "a": 1}, "details": []}
    assert [(field.removeprefix("known_orders"), rule) for field, rule, _ in violations({}, GOOD | wrong)] == [
        ("[0].orderid", "string.id"),
        ("[0].service", "string.id"),
        ("[1].orderid", "known_order.kind"),
        ('[1].tags["a"]', "known_order.kind"),
        ('[1].tags["c"]', "known_order.kind"),
        ("[1].force", "known_order.kind"),
        ("[1].details", "known_order.kind"),
        ("[1].status", "string.max_len"),
        ('[1].tags["b"]', "string.max_len"),
    ]


def test_an_order_may_be_there_once() -> None:
    twice = ("known_orders", "order_state.unique", "must not have the same order of a service twice")
    assert violations(GOOD, GOOD | {"orderid": "other"}, GOOD | {"status": "driving"}) == [twice]
    known = read_known_orders([to_struct(GOOD), to_struct(GOOD | {"service": "eats"})])
    assert [one.service for one in known.orders] == ["taxi", "eats"]


def test_every_member_is_read() -> None:
    whole: dict[str, Any] = {
        "orderid": "order",
        "service": "taxi",
        "status": "driving",
        "tags": {"part": "tag", "other": ""},
        "force": True,
        "details": {"price": 10.5, "list": [None, {}]},
    }
    assert whole.keys() == MEMBERS
    (order,) = read_known_orders([to_struct(whole)]).orders
    assert MessageToDict(order) == whole


@pytest.mark.parametrize("name", sorted(MEMBERS - {"orderid", "service"}))
def test_a_null_is_as_good_as_nothing(name: str) -> None:
    known = read_known_orders([to_struct(GOOD | {name: None})])
    assert known.orders == read_known_orders([to_struct(GOOD)]).orders
    assert known.others == {("taxi", "order"): {}}


def test_empty_details_are_not_the_same_as_none() -> None:
    orders = read_known_orders([to_struct(GOOD | {"details": {}}), to_struct(GOOD | {"service": "eats"})]).orders
    assert [one.HasField("details") for one in orders] == [True, False]


# --- and back


def told(order: KnownOrder, **changes: Any) -> OrderState:
    members: dict[str, Any] = {
        "status": order.status,
        "tags": {"part": "2"},
        "need_request": ["part"],
        "update_status": "actual",
    }
    return OrderState(orderid=order.orderid, service=order.service, **(members | changes))


def answered(orders: Sequence[OrderState], others: OtherMembers) -> list[dict[str, Any]]:
    """Returns the orders of a response as JSON."""
    response = asyncio.run(launch_response(GetOrdersStateResponse(orders=orders), None, others=others))
    return [MessageToDict(one) for one in response.mlutp_orders_state.orders]


def test_an_order_that_the_app_did_not_know_has_the_members_of_the_contract_alone() -> None:
    known = read_known_orders([to_struct(GOOD | {"card": "red"})])
    new = told(KnownOrder(orderid="order", service="eats", status="cooking"), details={})
    assert answered([new, told(known.orders[0])], known.others) == [
        {
            "orderid": "order",
            "service": "eats",
            "status": "cooking",
            "tags": {"part": "2"},
            "need_request": ["part"],
            "update_status": "actual",
            "details": {},
        },
        {
            "orderid": "order",
            "service": "taxi",
            "status": "",
            "tags": {"part": "2"},
            "need_request": ["part"],
            "update_status": "actual",
            "card": "red",
        },
    ]


def test_an_order_without_parts_says_so() -> None:
    (order,) = answered([told(KnownOrder(orderid="order", service="taxi"), tags={}, need_request=())], {})
    assert (order["tags"], order["need_request"]) == ({}, [])


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(1 - 2**53, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.text() | st.sampled_from(sorted(MEMBERS | TOLD | {"some_field", "__class__"}))


@given(st.dictionaries(NAMES, JSON, max_size=8), JSON)
def test_whatever_else_an_app_sends_comes_back_as_it_was_sent(others: dict[str, Any], detail: Any) -> None:
    """Whatever the names: those of the contract mean what the contract says, all others are the app's own."""
    own = {name: value for name, value in others.items() if name not in MEMBERS}
    details = {"detail": detail}
    known = read_known_orders([to_struct(own | GOOD | {"details": details})])
    (order,) = known.orders
    (back,) = answered([told(order, details=order.details)], known.others)
    expected = own | {
        "orderid": "order",
        "service": "taxi",
        "status": "",
        "tags": {"part": "2"},
        "need_request": ["part"],
        "update_status": "actual",
        "details": details,
    }
    assert back == expected
