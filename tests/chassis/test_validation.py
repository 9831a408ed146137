"""The rules of the contracts, as a caller meets them."""

from __future__ import annotations

from urllib.parse import quote

import grpc
import pytest
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import ListValue
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ridehail.ordercore.v1 import order_core_api_pb2 as order_core
from ridehail.tollroads.v1 import toll_roads_api_pb2 as toll_roads
from ridehail_clients import FieldViolation, InvalidRequest, ServiceError
from ridehail_clients.calls.error_conversion import service_error
from ridehail_servers import resources
from ridehail_servers.chassis.access import AccessPolicy
from ridehail_servers.chassis.config import load
from tests.support.calls import failure_of, rpcs
from tests.support.recorded_suite import RecordedSuite

ORDER_CORE = "/ridehail.ordercore.v1.OrderCoreService"
TOLL_ROADS = "/ridehail.tollroads.v1.TollRoadsService"
BY_TICKET = [rpc for rpc in rpcs() if not rpc.by_gateway_key]
# A field of type string that says 3 bytes and has one; a string that is no UTF-8; a field that never ends.
BROKEN = {"cut short": b"\x0a\x03a", "no UTF-8": b"\x0a\x02\xc3\x28", "a bad tag": b"\xff" * 12}


async def refusal(running: RecordedSuite, path: str, request: Message | bytes, *, source: str) -> ServiceError:
    service = next(rpc.service for rpc in BY_TICKET if rpc.path == path)
    metadata = (*running.metadata(source, service), ("x-yandex-uid", "uid"))
    return await failure_of(running.channel, path, request, metadata=metadata)


def paths_and_rules(error: ServiceError) -> list[tuple[str, str]]:
    assert isinstance(error, InvalidRequest)
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    return [(violation.field, violation.reason) for violation in error.violations]


async def test_what_cannot_be_decoded_is_an_invalid_request(recorded_suite: RecordedSuite) -> None:
    access = load(resources.folder("config") / "access.yaml", AccessPolicy)
    for rpc in BY_TICKET:
        for name, broken in BROKEN.items():
            if name == "no UTF-8" and not rpc.method.input_type.fields:
                continue  # a field that it does not have may hold any bytes
            error = await refusal(recorded_suite, rpc.path, broken, source=min(access.methods[rpc.name]))
            assert isinstance(error, InvalidRequest), rpc.name
            assert error.violations == (FieldViolation("", "must be a message of the contract", "message.encoding"),)
    assert recorded_suite.reached == []


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
async def test_a_stranger_learns_nothing_of_the_rules(recorded_suite: RecordedSuite, broken: bytes) -> None:
    error = await failure_of(recorded_suite.channel, f"{TOLL_ROADS}/SaveOffer", broken)
    assert (error.reason, error.violations) == ("TICKET_MISSING", ())


@given(encoded=st.binary(max_size=60))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_no_bytes_at_all_reach_the_handler_unless_they_keep_the_rules(
    recorded_suite: RecordedSuite, encoded: bytes
) -> None:
    try:
        request = toll_roads.EnqueueOrderSaveRequest.FromString(encoded)
    except Exception:
        request = toll_roads.EnqueueOrderSaveRequest()
    said = {field.name for field, _value in request.ListFields()}
    if said >= {"order_id", "created", "can_switch_road", "user_chose_toll_road"}:
        return
    error = await refusal(recorded_suite, f"{TOLL_ROADS}/EnqueueOrderSave", encoded, source="processing")
    assert error.reason == "INVALID_REQUEST"
    assert recorded_suite.reached == []


async def test_an_element_of_a_list_is_named_by_its_index(recorded_suite: RecordedSuite) -> None:
    error = await refusal(
        recorded_suite,
        f"{TOLL_ROADS}/BatchRetrieveOrders",
        toll_roads.BatchRetrieveOrdersRequest(order_ids=["good", "", "good", "\n"]),
        source="api-proxy",
    )
    assert paths_and_rules(error) == [("order_ids[1]", "string.id"), ("order_ids[3]", "string.id")]


async def test_an_entry_of_a_map_is_named_by_its_key(recorded_suite: RecordedSuite) -> None:
    error = await refusal(
        recorded_suite,
        f"{ORDER_CORE}/SetOrderFields",
        order_core.SetOrderFieldsRequest(
            order_id="order", push={"a..b": ListValue()}, increment={"good": 10**10}, unset=["", "good"]
        ),
        source="toll-roads",
    )
    assert set(paths_and_rules(error)) == {
        ('push["a..b"]', "string.field_path"),
        ('increment["good"]', "int64.gte_lte"),
        ("unset[0]", "string.field_path"),
    }


async def test_every_broken_rule_is_named_in_one_answer(recorded_suite: RecordedSuite) -> None:
    request = toll_roads.EnqueueOrderSaveRequest(order_id="", offer_id="", yandex_uid="\0")
    error = await refusal(recorded_suite, f"{TOLL_ROADS}/EnqueueOrderSave", request, source="processing")
    assert set(paths_and_rules(error)) == {
        ("order_id", "string.id"),
        ("created", "required"),
        ("can_switch_road", "required"),
        ("user_chose_toll_road", "required"),
        ("offer_id", "string.id"),
        ("yandex_uid", "string.id"),
    }


async def test_a_hopeless_request_is_refused_in_few_words(recorded_suite: RecordedSuite) -> None:
    request = toll_roads.BatchRetrieveOrdersRequest(order_ids=[""] * 1000)
    error = await refusal(recorded_suite, f"{TOLL_ROADS}/BatchRetrieveOrders", request, source="api-proxy")
    assert paths_and_rules(error) == [(f"order_ids[{index}]", "string.id") for index in range(10)]
    assert error.message == "invalid request: order_ids[0]: must be 1 to 128 printable characters (and 999 more)"


@pytest.mark.parametrize("character", ["x.", "ы", "\U0001f695", '"'])
async def test_long_keys_do_not_make_the_answer_longer_than_clients_take(
    recorded_suite: RecordedSuite, character: str
) -> None:
    request = order_core.SetOrderFieldsRequest(
        order_id="order", push={character * (2000 + number): ListValue() for number in range(50)}
    )
    path = f"{ORDER_CORE}/SetOrderFields"
    method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = recorded_suite.channel.unary_unary(path)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await method(request.SerializeToString(), metadata=recorded_suite.metadata("toll-roads", "order-core"))

    assert len(paths_and_rules(service_error(caught.value))) == 10
    trailing = caught.value.trailing_metadata()
    details = sum(len(name) + len(value) * 4 // 3 for name, value in trailing)  # binary values travel as base64
    message = len(quote(caught.value.details() or ""))
    assert details + message < 8 * 1024
