"""Whatever is wrong with a request, it is refused by field and rule, and eulas is not bothered."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf.message import Message

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api
from ridehail_servers.chassis.passenger import Identity
from ridehail_servers.chassis.tickets import TicketIssuer
from tests.api_proxy.proxy import ROUTESTATS, ZONE_INFO, Proxy
from tests.api_proxy.scripted_eulas import ScriptedEulas, failing
from tests.support.calls import call, failure_of

BAD_IDS = {
    "empty": "",
    "too long": "x" * 129,
    "too long in another script": "\u044b" * 129,
    "a line feed": "zone\n",
    "a tab": "\tzone",
    "NUL": "zo\0ne",
    "delete": "zone\x7f",
    "a C1 control": "zone\x85",
    "zero width": "zone\u200b",
    "a direction override": "\u202eenoz",
    "a byte order mark": "\ufeffzone",
    "a private character": "zone\ue000",
}
GOOD_IDS = ["x", "x" * 128, "\u044b" * 128, "\U0001f695", "a b", "%", "'", '"', "\\", "../x", "<b>", "__class__"]
GOOD = {
    ROUTESTATS: api.GetRouteStatsRequest(zone_name="tel_aviv", tariffs=["econom_surge"]),
    ZONE_INFO: api.GetZoneInfoRequest(zone_name="tel_aviv"),
}


def requests_with_id(name: str) -> list[tuple[str, Message, str]]:
    """Returns every request that has an id, with this one in it, and the path of the field."""
    return [
        (ROUTESTATS, api.GetRouteStatsRequest(zone_name=name), "zone_name"),
        (ROUTESTATS, api.GetRouteStatsRequest(zone_name="tel_aviv", tariffs=["econom_surge", name]), "tariffs[1]"),
        (ZONE_INFO, api.GetZoneInfoRequest(zone_name=name), "zone_name"),
    ]


async def refusal(proxy: Proxy, path: str, request: Message | bytes) -> list[tuple[str, str]]:
    """Makes a call that must be refused for its content, and returns the broken rules by field."""
    error = await failure_of(proxy.channel, path, request, metadata=proxy.metadata())
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"), error
    assert dict(error.metadata) == {}
    assert error.retry_after is None
    return [(violation.field, violation.reason) for violation in error.violations]


@pytest.mark.parametrize("bad", BAD_IDS.values(), ids=BAD_IDS.keys())
async def test_a_bad_id_is_refused_wherever_it_stands(eulas: ScriptedEulas, proxy: Proxy, bad: str) -> None:
    for path, request, field in requests_with_id(bad):
        assert await refusal(proxy, path, request) == [(field, "string.id")]
    assert (eulas.checked, eulas.listed) == ([], [])


@pytest.mark.parametrize("good", GOOD_IDS)
async def test_any_other_printable_id_is_taken(eulas: ScriptedEulas, proxy: Proxy, good: str) -> None:
    assert (await proxy.route_stats("econom_surge", zone=good)).shown == ["econom_surge"]
    answer = await proxy.route_stats("econom_surge", good, good)
    assert answer.shown == [good]
    assert list(answer.hidden) == ["econom_surge"]
    assert await proxy.need_acceptance(good) == []
    assert eulas.listed[0].zone_name == good


async def test_a_request_has_a_hundred_tariffs_at_most(eulas: ScriptedEulas, proxy: Proxy) -> None:
    tariffs = [f"tariff-{number}" for number in range(101)]
    request = api.GetRouteStatsRequest(zone_name="tel_aviv", tariffs=tariffs)
    assert await refusal(proxy, ROUTESTATS, request) == [("tariffs", "repeated.max_items")]
    request = api.GetRouteStatsRequest(zone_name="tel_aviv", tariffs=["econom_surge"] * 101)
    assert await refusal(proxy, ROUTESTATS, request) == [("tariffs", "repeated.max_items")]
    assert (await proxy.route_stats(*tariffs[:100])).shown == tariffs[:100]
    assert eulas.checked == []


async def test_no_tariffs_are_no_tariffs(eulas: ScriptedEulas, proxy: Proxy) -> None:
    answer = await proxy.route_stats()
    assert (answer.shown, answer.hidden) == ([], {})
    assert eulas.checked == []


@pytest.mark.parametrize("path", [ROUTESTATS, ZONE_INFO])
async def test_bytes_that_are_no_message_are_refused(eulas: ScriptedEulas, proxy: Proxy, path: str) -> None:
    for garbage in (b"\xff", b"\x0a\x05ab", b"\x0a\x02\xff\xfe"):
        assert await refusal(proxy, path, garbage) == [("", "message.encoding")]
    error = await failure_of(proxy.channel, path, b"\x0a" + b"x" * 5_000_000, metadata=proxy.metadata())
    assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (eulas.checked, eulas.listed) == ([], [])


@pytest.mark.parametrize("path", [ROUTESTATS, ZONE_INFO])
async def test_fields_that_the_contract_does_not_know_are_passed_over(proxy: Proxy, path: str) -> None:
    await call(proxy.channel, path, GOOD[path].SerializeToString() + b"\xfa\x3e\x03abc", metadata=proxy.metadata())


@pytest.mark.parametrize("path", [ROUTESTATS, ZONE_INFO])
async def test_a_call_without_passenger_is_refused(eulas: ScriptedEulas, proxy: Proxy, path: str) -> None:
    ticket = proxy.suite.metadata("gateway", "api-proxy")
    for metadata in (ticket, (*ticket, ("x-yataxi-userid", "user")), (*ticket, ("x-yandex-uid", ""))):
        error = await failure_of(proxy.channel, path, GOOD[path], metadata=metadata)
        assert (error.code, error.reason) == (grpc.StatusCode.UNAUTHENTICATED, "PASSENGER_MISSING")
    bound = (("x-ya-service-ticket", TicketIssuer(proxy.suite.keys, "gateway")("api-proxy", Identity("uid"))),)
    error = await failure_of(proxy.channel, path, GOOD[path], metadata=(*bound, ("x-yandex-uid", "another")))
    assert error.reason == "PASSENGER_MISSING"
    assert (eulas.checked, eulas.listed) == ([], [])


@pytest.mark.parametrize("path", [ROUTESTATS, ZONE_INFO])
async def test_nobody_but_the_gateway_speaks_for_a_passenger(eulas: ScriptedEulas, proxy: Proxy, path: str) -> None:
    for source in ("routestats", "api-proxy", "admin"):
        metadata = (*proxy.suite.metadata(source, "api-proxy"), ("x-yandex-uid", "uid"))
        error = await failure_of(proxy.channel, path, GOOD[path], metadata=metadata)
        assert (error.code, error.reason) == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED")
        assert error.metadata == {"caller": source, "method": path.removeprefix("/")}
    error = await failure_of(proxy.channel, path, GOOD[path], metadata=(("x-yandex-uid", "uid"),))
    assert error.reason == "TICKET_MISSING"
    assert (eulas.checked, eulas.listed) == ([], [])


async def test_a_uid_that_eulas_would_refuse_is_no_error_to_the_rider(eulas: ScriptedEulas, proxy: Proxy) -> None:
    eulas.on_check = eulas.on_list = failing(grpc.StatusCode.INVALID_ARGUMENT)
    assert (await proxy.route_stats("econom_surge", uid="x" * 128)).hidden == {"econom_surge": "eulas_unavailable"}
    assert await proxy.need_acceptance(uid="x" * 128) is None
