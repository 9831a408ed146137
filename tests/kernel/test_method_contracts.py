"""What the contracts say about methods, as the clients read it."""

from __future__ import annotations

from typing import cast

import pytest
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2

from ridehail.common.v1 import options_pb2
from ridehail_kernel.method_contracts import contracts_by_request, method_contract
from tests.clients.rpcs import rpc_named


def test_a_contract_reads_all_options_of_the_method() -> None:
    safe, unsafe, passenger = (
        method_contract(rpc_named(name).descriptor)
        for name in (
            "TollRoadsService/RetrieveOrder",
            "OrderCoreService/SetOrderFields",
            "PassengerTollRoadsService/SwitchRoad",
        )
    )
    assert (safe.deadline, safe.attempt_timeout, safe.idempotent) == (1.0, 0.1, True)
    assert (unsafe.deadline, unsafe.attempt_timeout, unsafe.idempotent) == (2.0, 2.0, False)
    assert safe.audience == options_pb2.AUDIENCE_INTERNAL
    assert passenger.audience == options_pb2.AUDIENCE_PASSENGER


def test_a_service_without_call_policy_is_refused() -> None:
    # Two kinds of type information have two names for the same class.
    health = cast("ServiceDescriptor", health_pb2.DESCRIPTOR.services_by_name["Health"])

    with pytest.raises(ValueError, match="call_policy"):
        contracts_by_request(health)
