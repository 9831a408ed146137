from __future__ import annotations

import inspect
from typing import cast

import pytest
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2

from ridehail._third_party.buf.validate import validate_pb2
from ridehail.common.v1 import options_pb2
from ridehail_clients.contract import contracts_by_request, method_contract
from tests.clients.flavours import Flavour
from tests.clients.rpcs import EXAMPLES, Rpc, all_rpcs

# What methods take beside the fields of the request: things that the client does by itself.
BESIDE_THE_FIELDS = {
    "TollRoadsService/RetrieveOrder": ["fallback"],
    "TaxiOnTheWayService/TaxiOnTheWay": ["fallback"],
    "UserStateService/UpdatePersonalState": ["mock"],
    "ProtocolService/UpdatePersonalState": ["mock"],
}

every_rpc = pytest.mark.parametrize("rpc", all_rpcs(), ids=lambda rpc: rpc.name)


@every_rpc
def test_every_rpc_has_a_method_whose_keywords_are_the_fields_of_the_request(rpc: Rpc, flavour: Flavour) -> None:
    method = getattr(flavour.client_class(rpc.client), rpc.method)
    parameters = dict(inspect.signature(method).parameters)
    del parameters["self"]

    fields = [field.name for field in rpc.descriptor.input_type.fields]
    assert list(parameters) == [*fields, *BESIDE_THE_FIELDS.get(rpc.name, []), "timeout", "metadata"]
    assert {parameter.kind for parameter in parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}
    assert inspect.iscoroutinefunction(method) == (flavour.name == "asyncio")


@every_rpc
def test_optional_fields_may_be_left_out(rpc: Rpc, flavour: Flavour) -> None:
    parameters = inspect.signature(getattr(flavour.client_class(rpc.client), rpc.method)).parameters

    for field in rpc.descriptor.input_type.fields:
        is_required = field.GetOptions().Extensions[validate_pb2.field].required
        if field.containing_oneof is not None and not is_required:
            assert parameters[field.name].default is None


@pytest.mark.parametrize("client", sorted({rpc.client for rpc in all_rpcs()}))
def test_a_client_has_no_method_beyond_the_rpcs(client: str, flavour: Flavour) -> None:
    public = {name for name, _ in inspect.getmembers(flavour.client_class(client), inspect.isfunction)}

    methods = {rpc.method for rpc in all_rpcs() if rpc.client == client}
    assert {name for name in public if not name.startswith("_")} == methods | {"close"}


def test_every_rpc_has_an_example() -> None:
    assert set(EXAMPLES) == {rpc.name for rpc in all_rpcs()}


@every_rpc
def test_every_rpc_states_how_long_it_may_take(rpc: Rpc) -> None:
    contract = method_contract(rpc.descriptor)

    assert contract.path == f"/{rpc.descriptor.containing_service.full_name}/{rpc.descriptor.name}"
    assert 0 < contract.attempt_timeout <= contract.deadline


def test_a_contract_reads_all_options_of_the_method() -> None:
    by_name = {rpc.name: method_contract(rpc.descriptor) for rpc in all_rpcs()}

    safe, unsafe = by_name["TollRoadsService/RetrieveOrder"], by_name["OrderCoreService/SetOrderFields"]
    assert (safe.deadline, safe.attempt_timeout, safe.idempotent) == (1.0, 0.1, True)
    assert (unsafe.deadline, unsafe.attempt_timeout, unsafe.idempotent) == (2.0, 2.0, False)
    assert safe.audience == options_pb2.AUDIENCE_INTERNAL
    assert by_name["PassengerTollRoadsService/SwitchRoad"].audience == options_pb2.AUDIENCE_PASSENGER


def test_a_service_without_call_policy_is_refused() -> None:
    # Two kinds of type information have two names for the same class.
    health = cast("ServiceDescriptor", health_pb2.DESCRIPTOR.services_by_name["Health"])

    with pytest.raises(ValueError, match="call_policy"):
        contracts_by_request(health)
