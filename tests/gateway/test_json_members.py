"""Members of a body that the contract does not know: the gateway names them to the service."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FileDescriptor

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from ridehail_servers.gateway.json_members import json_members
from tests.gateway import native
from tests.gateway.envoy_process import Listener
from tests.gateway.upstream import Upstream

SWITCH = "/4.0/toll-roads/v1/order"
THINGS = "/sample/v1/things"
FIELDS = "/v1/order-fields/set"
HEADER = "x-ya-unknown-members"


def named(upstream: Upstream) -> list[str]:
    """Returns the unknown members that the only call reports."""
    header = upstream.only_call.header(HEADER)
    assert header is None or isinstance(header, str)
    return header.split(",") if header else []


@pytest.mark.parametrize(
    ("body", "unknown"),
    [
        ("{}", []),
        ('{"order_id": "o", "has_toll_road": true}', []),
        ('{"orderId": "o", "hasTollRoad": true}', []),
        ('{"order\\u005fid": "o"}', []),
        ('{"has_tollroad": true}', ["has_tollroad"]),
        (' { "HAS_TOLL_ROAD" :\n true , "order_id":"o" } ', ["HAS_TOLL_ROAD"]),
        ('{"a": {"order_id": [{"b": 1}, {}]}, "order_id": "o", "b": [[], [1, {"c": 2}]], "c": "x"}', ["a", "b", "c"]),
        ('{"order_id": "a \\"b\\": {[,", "x": "}]\\\\", "y": 1}', ["x", "y"]),
        ('{"order_id": "\\\\", "x": "\\\\\\""}', ["x"]),
        ('{"имя": 1, "a,b\\n": 2, "": 3}', None),
        ('{"имя": 1, "a,b\\n": 2}', ["??????", "a?b?n"]),
        ("{" + ", ".join(f'"n{n}": {n}' for n in range(30)) + "}", [f"n{n}" for n in range(10)]),
        (json.dumps({"x" * 1000: 1}), ["x" * 128]),
    ],
)
def test_members_unknown_to_the_contract_are_named(
    public: Listener, upstream: Upstream, signed_in: dict[str, str], body: str, unknown: list[str] | None
) -> None:
    reply = public.post(SWITCH, body.encode(), signed_in)
    if unknown is None:
        assert reply.status == 400
    else:
        assert (reply.status, named(upstream)) == (200, unknown)


@pytest.mark.parametrize(
    ("thing", "unknown"),
    [
        ({"thing_id": "t", "version": "7", "part_names": ["a", "b"], "kind": "KIND_ROUND"}, []),
        ({"thing_id": "t", "versoin": 7, "part_names": ["x"], "is_heavy": True}, ["thing.versoin"]),
        (None, []),
    ],
)
def test_members_of_messages_in_the_request_are_named_by_their_path(
    public: Listener, upstream: Upstream, signed_in: dict[str, str], thing: object, unknown: list[str]
) -> None:
    assert public.post(THINGS, {"thing": thing}, signed_in).status == 200
    assert named(upstream) == unknown


def test_a_client_cannot_forge_the_unknown_members(
    public: Listener,
    internal: Listener,
    upstream: Upstream,
    signed_in: dict[str, str],
    channel: Callable[[Listener], grpc.Channel],
) -> None:
    lie = {HEADER: "order_id"}
    assert public.post(SWITCH, {"order_id": "o"}, signed_in | lie).status == 200
    assert internal.post("/toll-roads/v1/offer", {"offer_id": "o"}, lie).status == 200
    native.call(
        channel(public),
        "ridehail.tollroads.v1.PassengerTollRoadsService/SwitchRoad",
        api.SwitchRoadRequest(),
        signed_in | lie,
    )
    assert [call.header(HEADER) for call in upstream.calls] == [None] * 3


def test_a_get_has_no_members(public: Listener, upstream: Upstream, signed_in: dict[str, str]) -> None:
    assert public.request("GET", f"{THINGS}/a", b'{"x": 1}', signed_in).status == 200
    assert named(upstream) == []


@pytest.mark.parametrize("part", [{"a": 1}, {"a": [{}]}, [1], [[]], "\\", '"'])
def test_a_body_of_as_many_values_as_fit_is_searched_for_unknown_members(
    public: Listener, upstream: Upstream, signed_in: dict[str, str], part: Any
) -> None:
    assert public.post(THINGS, {"deep": [part] * 1000, "thing": {"last": 1}}, signed_in).status == 200
    assert named(upstream) == ["deep", "thing.last"]


@pytest.mark.parametrize("character", ["x", "\\", '"', " ", ","])
def test_the_longest_text_is_passed_over_in_the_search(
    public: Listener, upstream: Upstream, signed_in: dict[str, str], character: str
) -> None:
    text = character * (200 * 1024 // len(json.dumps(character)[1:-1]))
    assert public.post(THINGS, {"long": text, "thing": {"last": 1}}, signed_in).status == 200
    assert named(upstream) == ["long", "thing.last"]


def test_members_follow_from_the_contract(sample: FileDescriptor) -> None:
    found = json_members([sample.message_types_by_name["ChangeThingRequest"]])
    assert found["ridehail.gatewaysample.v1.ChangeThingRequest"] == {"thing": "ridehail.gatewaysample.v1.Thing"}
    assert found["ridehail.gatewaysample.v1.Thing"]["thingId"] == ""
