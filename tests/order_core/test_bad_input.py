"""Whatever is wrong with a request to order core, it is refused by field and rule, and nothing is stored."""

from __future__ import annotations

from google.protobuf.message import Message
from google.protobuf.struct_pb2 import ListValue, Struct, Value

from ridehail.ordercore.v1 import order_core_api_pb2 as api
from tests.support.calls import failure_of
from tests.support.suite_in_process import SuiteInProcess

SERVICE = api.DESCRIPTOR.services_by_name["OrderCoreService"]
# What an id is: see tests/chassis/test_text_rules.py. Here: which fields are ids.
BAD_IDS = {"empty": "", "too long": "x" * 129, "a line feed": "a\n"}
BAD_PATHS = {
    "empty": "",
    "no name": "a..b",
    "a space": "a b",
    "NUL": "a\0",
    "long name": "x" * 65,
    "long": "a." * 256 + "a",
}

Violation = tuple[str, str]


def requests_with_id(value: str) -> list[tuple[Message, Violation]]:
    """Returns a request of every method with this id in each of its ids, otherwise valid."""
    document = Struct()
    return [
        (api.PutOrderRequest(order_id=value, yandex_uid="400", document=document), ("order_id", "string.id")),
        (api.PutOrderRequest(order_id="order", yandex_uid=value, document=document), ("yandex_uid", "string.id")),
        (api.GetOrderFieldsRequest(order_id=value, fields=["a"]), ("order_id", "string.id")),
        (api.SetOrderFieldsRequest(order_id=value, unset=["a"]), ("order_id", "string.id")),
        (api.GetOrderInfoRequest(order_id=value), ("order_id", "string.id")),
        (api.BatchGetOrderInfoRequest(order_ids=["order", value]), ("order_ids[1]", "string.id")),
        (api.ListActiveOrdersRequest(yandex_uid=value), ("yandex_uid", "string.id")),
    ]


def requests_with_path(path: str) -> list[tuple[Message, Violation]]:
    """Returns requests with this path in each possible place."""
    rule = "string.field_path"
    shown = path if len(path) < 100 else None
    keyed = {
        "set": api.SetOrderFieldsRequest(order_id="order", set={path: Value(bool_value=True)}),
        "push": api.SetOrderFieldsRequest(order_id="order", push={path: ListValue()}),
        "increment": api.SetOrderFieldsRequest(order_id="order", increment={path: 1}),
    }
    return [
        (api.GetOrderFieldsRequest(order_id="order", fields=["a", path]), ("fields[1]", rule)),
        (api.SetOrderFieldsRequest(order_id="order", unset=[path]), ("unset[0]", rule)),
        *((request, (f'{field}["{shown}"]' if shown is not None else field, rule)) for field, request in keyed.items()),
    ]


def name_of(request: Message) -> str:
    return type(request).__name__.removesuffix("Request")


CASES: dict[str, tuple[Message, Violation]] = {
    **{
        f"{name_of(request)} {violation[0]}: {why}": (request, violation)
        for why, value in BAD_IDS.items()
        for request, violation in requests_with_id(value)
    },
    **{
        f"{violation[0][:20]} path: {why}": (request, violation)
        for why, path in BAD_PATHS.items()
        for request, violation in requests_with_path(path)
    },
    "no document": (api.PutOrderRequest(order_id="order", yandex_uid="400"), ("document", "required")),
    "no fields": (api.GetOrderFieldsRequest(order_id="order"), ("fields", "repeated.min_items")),
    "too many fields": (
        api.GetOrderFieldsRequest(order_id="order", fields=["a"] * 101),
        ("fields", "repeated.max_items"),
    ),
    "no orders": (api.BatchGetOrderInfoRequest(), ("order_ids", "repeated.min_items")),
    "too many orders": (
        api.BatchGetOrderInfoRequest(order_ids=["order"] * 1001),
        ("order_ids", "repeated.max_items"),
    ),
    "too much to unset": (
        api.SetOrderFieldsRequest(order_id="order", unset=[f"a{n}" for n in range(101)]),
        ("unset", "repeated.max_items"),
    ),
    "too much to increment": (
        api.SetOrderFieldsRequest(order_id="order", increment={f"a{n}": 1 for n in range(101)}),
        ("increment", "map.max_pairs"),
    ),
    "a huge increment": (
        api.SetOrderFieldsRequest(order_id="order", increment={"a": 10**9 + 1}),
        ('increment["a"]', "int64.gte_lte"),
    ),
    "a version below 0": (
        api.SetOrderFieldsRequest(order_id="order", expected_version=-1, unset=["a"]),
        ("expected_version", "int64.gte"),
    ),
    "nothing to do": (api.SetOrderFieldsRequest(order_id="order"), ("", "set_order_fields.empty")),
}


def test_every_method_is_in_the_table() -> None:
    assert {name_of(request) for request, _violation in CASES.values()} == set(SERVICE.methods_by_name)


async def test_bad_requests_are_refused_by_field_and_rule_and_nothing_is_stored(running: SuiteInProcess) -> None:
    metadata = running.metadata("admin", "order-core")
    async with running.channel() as channel:
        for why, (request, violation) in CASES.items():
            path = f"/{SERVICE.full_name}/{name_of(request)}"
            error = await failure_of(channel, path, request, metadata=metadata)
            assert (error.code.name, error.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST"), why
            violations = [(one.field, one.reason) for one in error.violations]
            field, rule = violation
            assert [(name[: len(field)] if len(name) > 100 else name, broken) for name, broken in violations] == [
                (field, rule)
            ], f"{why}: {violations}"
    for table in ("orders", "processing_events"):
        assert await running.rows(f"SELECT count(*) FROM order_core.{table}") == [(0,)]
