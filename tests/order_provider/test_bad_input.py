"""Whatever is wrong with a request to a provider of orders, it is refused by field and rule, and nothing is stored."""

from __future__ import annotations

import math
from typing import Any

import pytest
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct, Value

from ridehail.orderprovider.v1 import order_provider_api_pb2 as api
from ridehail_clients import JsonInput
from ridehail_kernel.json_values import to_struct
from ridehail_servers.chassis.json_limits import MAX_DEPTH
from tests.support.calls import failure_of
from tests.support.suite_in_process import SuiteInProcess

SERVICE = api.DESCRIPTOR.services_by_name["OrderProviderService"]
BAD_IDS = {"empty": "", "too long": "x" * 129, "a line feed": "a\n", "NUL": "a\0b", "zero width": "a\u200b"}

Violation = tuple[str, str]


def a_put(**changes: object) -> api.PutOrderRequest:
    """Returns a valid request with these changes."""
    fields: dict[str, Any] = {"orderid": "order", "yandex_uid": "400", "status": "cooking", "finished": False}
    return api.PutOrderRequest(**fields | changes)


def details(value: JsonInput | float) -> Struct:
    """Returns details with a value that the client library might refuse to send."""
    if isinstance(value, float):
        return Struct(fields={"a": Value(number_value=value)})
    return to_struct({"a": value})


def nested(levels: int) -> JsonInput:
    value: JsonInput = 1
    for _ in range(levels):
        value = [value]
    return value


def requests_with_id(value: str) -> list[tuple[Message, Violation]]:
    """Returns requests with this id in each possible place, otherwise valid."""
    return [
        (a_put(orderid=value), ("orderid", "string.id")),
        (a_put(yandex_uid=value), ("yandex_uid", "string.id")),
        (a_put(status=value), ("status", "string.id")),
        (a_put(parts={"name": value}), ('parts["name"]', "string.id")),
        (a_put(parts={value: "1"}), ("parts", "string.id")),
        (api.ListActiveOrdersRequest(yandex_uid=value), ("yandex_uid", "string.id")),
    ]


CASES: dict[str, tuple[Message, Violation]] = {
    **{
        f"{number} {violation[0]}: {why}": (request, violation)
        for why, value in BAD_IDS.items()
        for number, (request, violation) in enumerate(requests_with_id(value))
    },
    "too many parts": (a_put(parts={f"p{n}": "1" for n in range(21)}), ("parts", "map.max_pairs")),
    "no number": (a_put(details=details(math.nan)), ('details["a"]', "json.number")),
    "infinite": (a_put(details=details(-math.inf)), ('details["a"]', "json.number")),
    "a NUL": (a_put(details=details(["x\0"])), ('details["a"][0]', "json.no_nul")),
    "a NUL in a name": (a_put(details=details({"x\0": 1})), ('details["a"]', "json.no_nul")),
    "too deep": (a_put(details=details(nested(MAX_DEPTH))), ('details["a"]' + "[0]" * (MAX_DEPTH - 1), "json.depth")),
    "too large": (
        a_put(details=details("x" * (64 * 1024 - len('{"a":""}') + 1))),
        ("details", "put_order.details_size"),
    ),
    "too large in bytes": (a_put(details=details("\u20ac" * 22_000)), ("details", "put_order.details_size")),
}


def test_every_method_is_in_the_table() -> None:
    methods = {type(request).__name__.removesuffix("Request") for request, _violation in CASES.values()}
    assert methods == set(SERVICE.methods_by_name)


@pytest.mark.parametrize("service", ["eats-orders", "grocery-orders"])
async def test_bad_requests_are_refused_by_field_and_rule_and_nothing_is_stored(
    running: SuiteInProcess, service: str
) -> None:
    metadata = running.metadata("admin", service)
    async with running.channel() as channel:
        for why, (request, (field, rule)) in CASES.items():
            path = f"/{SERVICE.full_name}/{type(request).__name__.removesuffix('Request')}"
            error = await failure_of(channel, path, request, metadata=metadata)
            assert (error.code.name, error.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST"), why
            ((name, broken),) = [(one.field, one.reason) for one in error.violations]
            # A part's name is reported as given, if it is short enough.
            assert (name[: len(field)] if field == "parts" else name, broken) == (field, rule), f"{why}: {name}"
        for bad in (b"\xff", b"\x0a\xff\xff", b"\x0a\x02\xff\xfe"):
            error = await failure_of(channel, f"/{SERVICE.full_name}/PutOrder", bad, metadata=metadata)
            assert [one.reason for one in error.violations] == ["message.encoding"]
    for schema in ("eats_orders", "grocery_orders"):
        assert await running.rows(f"SELECT count(*) FROM {schema}.orders") == [(0,)]
