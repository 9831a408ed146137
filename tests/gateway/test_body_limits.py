"""How large a body may be follows from the rules of the request's fields."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, ServiceDescriptor

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api_proxy
from ridehail.ordercore.v1 import order_core_api_pb2 as order_core
from ridehail.orderstate.v1 import order_state_api_pb2 as order_state
from ridehail.orderstate.v1 import order_state_pb2 as order_state_messages
from ridehail.tollroads.v1 import toll_roads_api_pb2 as toll_roads
from ridehail.userstate.v1 import user_state_api_pb2 as user_state
from ridehail_servers import suite
from ridehail_servers.chassis.request_limits import RequestLimits
from ridehail_servers.gateway.body_limits import MAX_BODY_BYTES, MIN_BODY_BYTES, body_limit, values_limit
from tests.support.largest_requests import largest_requests


def contracts_by_name() -> dict[str, ServiceDescriptor]:
    """Returns the suite's contracts by their full names."""
    contracts = (contract for definition in suite.SERVICES.values() for contract in definition.contracts)
    return {contract.descriptor.full_name: contract.descriptor for contract in contracts}


@pytest.mark.parametrize(
    "request_type",
    [toll_roads.SwitchRoadRequest, toll_roads.RetrieveOrderRequest, order_core.GetOrderInfoRequest],
    ids=lambda it: it.__name__,
)
def test_a_request_of_a_few_ids_has_the_smallest_limit(request_type: type) -> None:
    assert body_limit(request_type.DESCRIPTOR) == MIN_BODY_BYTES  # type: ignore[attr-defined]  # of the generated message


@pytest.mark.parametrize(
    "request_type",
    [
        api_proxy.LaunchRequest,  # a repeated Struct
        order_core.SetOrderFieldsRequest,  # a map of Values
        user_state.UpdatePersonalStateRequest,  # a Struct in a message
        toll_roads.BatchRetrieveOrdersRequest,  # a thousand ids
    ],
    ids=lambda it: it.__name__,
)
def test_a_request_without_bounds_or_beyond_the_largest_limit_has_the_largest(request_type: type) -> None:
    assert body_limit(request_type.DESCRIPTOR) == MAX_BODY_BYTES  # type: ignore[attr-defined]  # of the generated message


def test_a_request_between_has_room_for_escapes_spaces_and_unknown_members() -> None:
    largest = order_state.ReportOrderPartsRequest(
        orderid="o" * 128, service="s" * 128, yandex_uid="u" * 128, parts={f"{n:0128}": "v" * 128 for n in range(20)}
    )
    limit = body_limit(order_state.ReportOrderPartsRequest.DESCRIPTOR)
    assert largest.ByteSize() * 6 < limit < MAX_BODY_BYTES


def count_values(body: Any) -> int:
    """Returns how many values JSON has, with one for each empty object and array."""
    if not isinstance(body, dict | list):
        return 0
    inner = list(body.values() if isinstance(body, dict) else body)
    return max(len(inner), 1) + sum(map(count_values, inner))


@pytest.mark.parametrize(
    "name",
    [
        "apiproxy.v1.LaunchService/Launch",
        "orderstate.v1.PassengerOrderStateService/PollOrdersState",
        pytest.param("orderstate.v1.OrderStateService/GetOrdersState", marks=pytest.mark.long),
        pytest.param("apiproxy.v1.PersonalStateService/PersonalState", marks=pytest.mark.long),
        "eulas.v1.EulasService/BatchCheckEulas",
        "routesharing.v1.RouteSharingService/PutFamily",
    ],
)
def test_the_largest_request_of_a_contract_has_no_more_values_than_may_be(name: str) -> None:
    service, _, method_name = f"ridehail.{name}".partition("/")
    method = contracts_by_name()[service].methods_by_name[method_name]
    for largest in largest_requests(method):
        body = json_format.MessageToDict(largest.request)
        assert count_values(body) <= values_limit(method), largest.kind


def test_unknown_members_may_be_as_many_as_values_but_lists_bound_how_many_members_there_are() -> None:
    poll = contracts_by_name()["ridehail.orderstate.v1.PassengerOrderStateService"].methods_by_name["PollOrdersState"]
    known = len(order_state_messages.KnownOrder.DESCRIPTOR.fields)
    request = len(order_state.PollOrdersStateRequest.DESCRIPTOR.fields)
    assert values_limit(poll) == 2 * (RequestLimits.of(poll).max_values + request + 50 * known)


def test_every_request_has_a_limit_within_bounds() -> None:
    requests: list[Descriptor] = [
        method.input_type
        for definition in suite.SERVICES.values()
        for contract in definition.contracts
        for method in contract.descriptor.methods
    ]
    limits = {request.full_name: body_limit(request) for request in requests}
    for limit in limits.values():
        assert MIN_BODY_BYTES <= limit <= MAX_BODY_BYTES
        assert limit & (limit - 1) == 0
