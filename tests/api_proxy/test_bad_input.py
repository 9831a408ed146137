"""What riders may send about tariffs and zones. The rules of ids are the contract's: `tests/chassis` proves them."""

from __future__ import annotations

import grpc

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api
from tests.api_proxy.proxy import Proxy
from tests.api_proxy.scripted_eulas import ScriptedEulas, failing
from tests.support.contract_rules import broken_rules

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


def test_a_bad_id_is_refused_wherever_it_stands() -> None:
    for bad in BAD_IDS.values():
        assert broken_rules(api.GetRouteStatsRequest(zone_name=bad)) == [("zone_name", "string.id")]
        tariffs = api.GetRouteStatsRequest(zone_name="tel_aviv", tariffs=["econom_surge", bad])
        assert broken_rules(tariffs) == [("tariffs[1]", "string.id")]
        assert broken_rules(api.GetZoneInfoRequest(zone_name=bad)) == [("zone_name", "string.id")]


def test_a_request_has_a_hundred_tariffs_at_most() -> None:
    for tariffs in ([f"tariff-{number}" for number in range(101)], ["econom_surge"] * 101):
        request = api.GetRouteStatsRequest(zone_name="tel_aviv", tariffs=tariffs)
        assert broken_rules(request) == [("tariffs", "repeated.max_items")]


async def test_any_other_printable_id_is_taken(eulas: ScriptedEulas, proxy: Proxy) -> None:
    for good in GOOD_IDS:
        assert (await proxy.route_stats("econom_surge", zone=good)).shown == ["econom_surge"]
        response = await proxy.route_stats("econom_surge", good, good)
        assert response.shown == [good]
        assert list(response.hidden) == ["econom_surge"]
        assert await proxy.need_acceptance(good) == []
        assert eulas.listed[-1].zone_name == good


async def test_no_tariffs_are_no_tariffs(eulas: ScriptedEulas, proxy: Proxy) -> None:
    response = await proxy.route_stats()
    assert (response.shown, response.hidden) == ([], {})
    assert eulas.checked == []


async def test_a_uid_that_eulas_would_refuse_is_no_error_to_the_rider(eulas: ScriptedEulas, proxy: Proxy) -> None:
    eulas.on_check = eulas.on_list = failing(grpc.StatusCode.INVALID_ARGUMENT)
    assert (await proxy.route_stats("econom_surge", uid="x" * 128)).hidden == {"econom_surge": "eulas_unavailable"}
    assert await proxy.need_acceptance(uid="x" * 128) is None
