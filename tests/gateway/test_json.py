"""How JSON becomes protobuf and back."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import message_factory, timestamp_pb2
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.message import Message

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from tests.gateway.envoy_process import Listener
from tests.gateway.upstream import Upstream, responds

SWITCH = "/4.0/toll-roads/v1/order"
THINGS = "/sample/v1/things"


def sample_message(sample: FileDescriptor, name: str, **fields: Any) -> Message:
    """Returns a message of `sample.proto`."""
    return message_factory.GetMessageClass(sample.message_types_by_name[name])(**fields)


def test_a_body_becomes_the_request_message(public: Listener, upstream: Upstream, signed_in: dict[str, str]) -> None:
    timestamp = "2026-03-01T12:00:00.000001Z"
    body = {"order_id": "o", "has_toll_road": True, "created": timestamp}
    assert public.post(SWITCH, body, signed_in).status == 200
    created = timestamp_pb2.Timestamp()
    created.FromJsonString(timestamp)
    assert upstream.only_call.request == api.SwitchRoadRequest(order_id="o", has_toll_road=True, created=created)


def test_a_response_has_snake_case_names_and_default_values(internal: Listener, upstream: Upstream) -> None:
    reply = internal.post("/toll-roads/v1/order/retrieve", {"order_id": "o"})
    assert reply.body == b'{"has_toll_road":false,"can_switch_road":false}'
    created = timestamp_pb2.Timestamp(seconds=1772366400, nanos=1000)
    upstream.handler = responds(api.RetrieveOrderResponse(has_toll_road=True, created=created))
    assert internal.post("/toll-roads/v1/order/retrieve", {"order_id": "o"}).json == {
        "has_toll_road": True,
        "can_switch_road": False,
        "created": "2026-03-01T12:00:00.000001Z",
    }


def test_64_bit_numbers_are_strings_and_enums_are_names(
    public: Listener, upstream: Upstream, signed_in: dict[str, str], sample: FileDescriptor
) -> None:
    upstream.handler = responds(sample_message(sample, "Thing", version=2**53 + 1, kind=1))
    assert public.request("GET", f"{THINGS}/a", None, signed_in).json == {
        "thing_id": "",
        "version": "9007199254740993",
        "kind": "KIND_ROUND",
        "part_names": [],
        "is_heavy": False,
    }


@pytest.mark.parametrize(
    "thing", [{"version": 7, "kind": "KIND_ROUND"}, {"version": "7", "kind": "kind_round"}, {"version": 7.0, "kind": 1}]
)
def test_64_bit_numbers_and_enums_are_parsed_in_all_their_forms(
    public: Listener, upstream: Upstream, signed_in: dict[str, str], sample: FileDescriptor, thing: dict[str, Any]
) -> None:
    assert public.post(THINGS, {"thing": thing}, signed_in).status == 200
    expected = sample_message(sample, "Thing", version=7, kind=1)
    assert upstream.only_call.request == sample_message(sample, "ChangeThingRequest", thing=expected)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_the_content_type_of_a_request_does_not_matter(
    public: Listener, upstream: Upstream, signed_in: dict[str, str], content_type: str
) -> None:
    reply = public.post(SWITCH, {"order_id": "o"}, {**signed_in, "content-type": content_type})
    assert (reply.status, reply.json) == (200, {})
    assert upstream.only_call.request == api.SwitchRoadRequest(order_id="o")


def test_camel_case_names_are_parsed(public: Listener, upstream: Upstream, signed_in: dict[str, str]) -> None:
    assert public.post(SWITCH, {"orderId": "o", "hasTollRoad": True}, signed_in).status == 200
    assert upstream.only_call.request == api.SwitchRoadRequest(order_id="o", has_toll_road=True)


def test_unknown_fields_are_dropped(public: Listener, upstream: Upstream, signed_in: dict[str, str]) -> None:
    assert public.post(SWITCH, {"order_id": "o", "unknown": {"a": [1]}}, signed_in).status == 200
    assert upstream.only_call.request == api.SwitchRoadRequest(order_id="o")


def test_variables_of_a_path_and_parameters_of_a_query_become_fields(
    public: Listener, upstream: Upstream, signed_in: dict[str, str], sample: FileDescriptor
) -> None:
    assert public.request("GET", f"{THINGS}/a%20b?known_version=5", None, signed_in).status == 200
    assert upstream.only_call.request == sample_message(sample, "GetThingRequest", thing_id="a b", known_version=5)


def test_an_additional_binding_reaches_the_same_method(
    public: Listener, upstream: Upstream, signed_in: dict[str, str], sample: FileDescriptor
) -> None:
    assert public.post(f"{THINGS}:get", {"thing_id": "a"}, signed_in).status == 200
    assert upstream.only_call.method == "ridehail.gatewaysample.v1.PassengerSampleService/GetThing"
    assert upstream.only_call.request == sample_message(sample, "GetThingRequest", thing_id="a")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nonsense",
        b"[]",
        b'"text"',
        b'{"order_id": 5 6}',
        b'{"order_id": {}}',
        b'{"order_id": ["o"]}',
        b'{"has_toll_road": "perhaps"}',
        b'{"created": "yesterday"}',
        b'{"created": 5}',
        b'{"order_id": "\xff"}',
        b"\0\0\0\0\0",
    ],
)
def test_json_that_does_not_fit_the_contract_gets_400(
    public: Listener, upstream: Upstream, signed_in: dict[str, str], body: bytes
) -> None:
    assert public.post(SWITCH, body, signed_in).error == (400, 3)
    assert upstream.calls == []


@pytest.mark.parametrize(
    "query", ["unknown=1", "order_id=other", "created=x", "order_id.x=1"], ids=["unknown", "conflict", "type", "path"]
)
def test_a_query_that_the_contract_does_not_know_gets_400(
    public: Listener, upstream: Upstream, signed_in: dict[str, str], query: str
) -> None:
    assert public.post(f"{SWITCH}?{query}", {"order_id": "o"}, signed_in).error == (400, 3)
    assert upstream.calls == []


def test_an_empty_body_is_an_empty_message(public: Listener, upstream: Upstream, signed_in: dict[str, str]) -> None:
    assert public.post(SWITCH, b"", signed_in).status == 200
    assert upstream.only_call.request == api.SwitchRoadRequest()


def test_a_response_of_megabytes_passes(
    public: Listener, upstream: Upstream, signed_in: dict[str, str], sample: FileDescriptor
) -> None:
    upstream.handler = responds(sample_message(sample, "Thing", part_names=["x" * 1000] * 4000))
    reply = public.request("GET", f"{THINGS}/a", None, signed_in)
    assert reply.status == 200
    assert len(reply.json["part_names"]) == 4000


def test_json_responses_have_no_headers_of_grpc_or_of_the_server(
    public: Listener, upstream: Upstream, signed_in: dict[str, str]
) -> None:
    reply = public.post(SWITCH, {}, signed_in)
    assert set(reply.headers) == {"content-type", "content-length", "date", "x-request-id"}


def test_a_response_too_large_for_json_gets_500(
    public: Listener, upstream: Upstream, signed_in: dict[str, str], sample: FileDescriptor
) -> None:
    upstream.handler = responds(sample_message(sample, "Thing", part_names=["x" * 1000] * 9000))
    assert public.request("GET", f"{THINGS}/a", None, signed_in).error == (500, 13)
