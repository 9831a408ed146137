"""What a request has that its contract does not know: refused in writes of services, else counted."""

from __future__ import annotations

from typing import TypeVar

import pytest
from google.protobuf.message import Message
from prometheus_client import REGISTRY

from ridehail.eulas.v1 import eulas_api_pb2 as eulas
from ridehail.eulas.v1 import eulas_pb2
from ridehail.ordercore.v1 import order_core_api_pb2 as order_core
from ridehail.tollroads.v1 import toll_roads_api_pb2 as toll_roads
from ridehail_clients import InvalidRequest
from ridehail_servers.chassis.unknown_fields import UNKNOWN_MEMBERS_KEY, discard_unknown
from tests.support.calls import call, failure_of
from tests.support.recorded_suite import RecordedSuite

AnyMessage = TypeVar("AnyMessage", bound=Message)

SAVE_OFFER = "ridehail.tollroads.v1.TollRoadsService/SaveOffer"
RETRIEVE = "ridehail.tollroads.v1.TollRoadsService/RetrieveOrder"
SWITCH = "ridehail.tollroads.v1.PassengerTollRoadsService/SwitchRoad"
NEWER = b"\xf8\x07\x01"  # field 127: 1
SWITCH_REQUEST = toll_roads.SwitchRoadRequest(order_id="order", has_toll_road=False)
SWITCH_REQUEST.created.FromSeconds(1)
CASES = {
    SAVE_OFFER: ("routestats", toll_roads.SaveOfferRequest(offer_id="offer")),
    RETRIEVE: ("api-proxy", toll_roads.RetrieveOrderRequest(order_id="order")),
    SWITCH: ("gateway", SWITCH_REQUEST),
}


def metadata_of(suite: RecordedSuite, source: str, *others: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    issuer = suite.metadata(source, "toll-roads")
    return (*issuer, *others)


def counted(method: str, outcome: str) -> float:
    labels = {"grpc_method": method, "outcome": outcome}
    return REGISTRY.get_sample_value("ridehail_unknown_fields_total", labels) or 0


@pytest.mark.parametrize("told", ["", "offerid,a[0].b"], ids=["of protobuf", "of JSON"])
async def test_a_write_of_a_service_is_refused(recorded_suite: RecordedSuite, told: str) -> None:
    source, request = CASES[SAVE_OFFER]
    before = counted(SAVE_OFFER, "refused")
    error = await failure_of(
        recorded_suite.channel,
        f"/{SAVE_OFFER}",
        request.SerializeToString() + (b"" if told else NEWER),
        metadata=metadata_of(recorded_suite, source, (UNKNOWN_MEMBERS_KEY, told)),
    )
    assert isinstance(error, InvalidRequest)
    assert [(one.field, one.reason) for one in error.violations] == [
        (name, "message.unknown_field") for name in (told or "127").split(",")
    ]
    assert recorded_suite.reached == []
    assert counted(SAVE_OFFER, "refused") == before + 1


@pytest.mark.parametrize("told", ["", "fresh"], ids=["of protobuf", "of JSON"])
@pytest.mark.parametrize("method", [RETRIEVE, SWITCH])
async def test_a_read_and_an_apps_request_are_taken_and_counted(
    recorded_suite: RecordedSuite, method: str, told: str
) -> None:
    source, request = CASES[method]
    before = counted(method, "ignored")
    metadata = metadata_of(recorded_suite, source, ("x-yandex-uid", "uid"), (UNKNOWN_MEMBERS_KEY, told))
    encoded = request.SerializeToString() + (b"" if told else NEWER)
    await call(recorded_suite.channel, f"/{method}", encoded, metadata=metadata)
    assert recorded_suite.reached == [method]
    assert counted(method, "ignored") == before + 1


async def test_what_the_contract_knows_is_not_counted(recorded_suite: RecordedSuite) -> None:
    source, request = CASES[SAVE_OFFER]
    before = counted(SAVE_OFFER, "refused"), counted(SAVE_OFFER, "ignored")
    metadata = metadata_of(recorded_suite, source)
    await call(recorded_suite.channel, f"/{SAVE_OFFER}", request, metadata=metadata)
    assert (counted(SAVE_OFFER, "refused"), counted(SAVE_OFFER, "ignored")) == before


def with_newer(message: AnyMessage) -> AnyMessage:
    """Returns the message with a field that its contract does not know."""
    return type(message).FromString(message.SerializeToString() + NEWER)


def test_a_field_is_named_wherever_it_is() -> None:
    decision = with_newer(eulas_pb2.EulaDecision(eula_id="sdc", status="accepted"))
    request = with_newer(eulas.SaveEulasRequest(yandex_uid="1", eulas=[eulas_pb2.EulaDecision(), decision]))
    found = discard_unknown(request, {}, request.SerializeToString())
    assert [one.field for one in found] == ["127", "eulas[1].127"]
    assert NEWER not in request.SerializeToString()

    update = order_core.SetOrderFieldsRequest(order_id="order", increment={"a": 1})
    update.set["a.b"].string_value = "x"
    update.set["a.b"].MergeFromString(NEWER)
    found = discard_unknown(update, {}, update.SerializeToString())
    assert [one.field for one in found] == ['set["a.b"].127']


def test_no_more_than_ten_are_named() -> None:
    request = toll_roads.SaveOfferRequest.FromString(NEWER * 30)
    assert len(discard_unknown(request, {}, request.SerializeToString())) == 10
