"""Which tariffs a rider is shown, whatever eulas does."""

from __future__ import annotations

import itertools

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api
from ridehail_servers.chassis.tickets import TicketVerifier
from tests.api_proxy.proxy import EVER_MS, ROUTESTATS, Proxy, failures, requires
from tests.api_proxy.scripted_eulas import (
    Behaviour,
    ScriptedEulas,
    check_answer,
    failing,
    hanging,
    knowing,
    later,
    saying,
)
from tests.support.calls import call
from tests.support.log_capture import LogCapture

STATUSES = ("unknown", "accepted", "rejected")
SUBSETS = [subset for size in (1, 2, 3) for subset in itertools.combinations(STATUSES, size)]
# A rider who stands everywhere at once: each type stands for a status.
RIDER = {"never_asked": "unknown", "agreed": "accepted", "refused": "rejected"}
# Every {required?} x {statuses} x {status of the rider}, a tariff each, and one that is not configured.
CELLS = {
    f"{eula_type} {'+'.join(allowed)} {'required' if required else 'free'}": (eula_type, allowed, required)
    for eula_type in RIDER
    for allowed in SUBSETS
    for required in (True, False)
}
TARIFFS = {name: requires(kind, *allowed, required=required) for name, (kind, allowed, required) in CELLS.items()}
UNAVAILABLE = "eulas_unavailable"
RIDERS_UID = "uid-4077"


def with_reason(reason: str) -> tuple[tuple[str, bytes], ...]:
    """Returns the trailing metadata of an error of the suite."""
    packed = AnyMessage()
    packed.Pack(ErrorInfo(reason=reason, domain="ridehail"))
    return (("grpc-status-details-bin", Status(details=[packed]).SerializeToString()),)


def expected(*, can_be_told: bool) -> tuple[list[str], dict[str, str]]:
    """Returns what of `CELLS` is shown and hidden."""
    shown, hidden = [], {}
    for name, (eula_type, allowed, required) in CELLS.items():
        status = RIDER[eula_type] if can_be_told else "unknown"
        if not required or status in allowed:
            shown.append(name)
        else:
            hidden[name] = f"eula_{status}" if can_be_told else UNAVAILABLE
    return [*shown, "not configured"], hidden


def garbage(**changed: str) -> Behaviour:
    return saying(check_answer(list((RIDER | changed).items())))


_UP = knowing(RIDER)
# How eulas answers, and the reason under which that is counted; None: it answers well.
EULAS: dict[str, tuple[Behaviour, str | None]] = {
    "up": (_UP, None),
    "slow, but in time": (later(0.05, _UP), None),
    "slow past the timeout": (hanging, "DEADLINE_EXCEEDED"),
    "unavailable": (failing(grpc.StatusCode.UNAVAILABLE), "UNAVAILABLE"),
    "without its database": (
        failing(grpc.StatusCode.UNAVAILABLE, with_reason("DATABASE_UNAVAILABLE")),
        "DATABASE_UNAVAILABLE",
    ),
    "erroring": (failing(grpc.StatusCode.INTERNAL, with_reason("INTERNAL")), "INTERNAL"),
    "erroring without a reason": (failing(grpc.StatusCode.UNKNOWN), "UNKNOWN"),
    "erroring with a strange reason": (failing(grpc.StatusCode.INTERNAL, with_reason("MOON_PHASE")), "INTERNAL"),
    "denying": (
        failing(grpc.StatusCode.PERMISSION_DENIED, with_reason("CALLER_NOT_ALLOWED")),
        "CALLER_NOT_ALLOWED",
    ),
    "of an older release": (failing(grpc.StatusCode.UNIMPLEMENTED), "UNIMPLEMENTED"),
    "overloaded": (failing(grpc.StatusCode.RESOURCE_EXHAUSTED, with_reason("OVERLOADED")), "OVERLOADED"),
    "answering no message": (saying(b"\xff\xff\xff\xff"), "INTERNAL"),
    "answering nothing": (saying(b""), "UNREADABLE"),
    "answering an unknown status": (garbage(agreed="perhaps"), "INTERNAL"),
    "answering no status": (garbage(agreed=""), "INTERNAL"),
    "leaving a type out": (saying(check_answer([("agreed", "accepted"), ("refused", "rejected")])), "UNREADABLE"),
    "answering about another type": (garbage(another="accepted"), "UNREADABLE"),
    "contradicting itself": (saying(check_answer([*RIDER.items(), ("agreed", "rejected")])), "UNREADABLE"),
    "answering more than fits": (saying(b"\x0a" + b"x" * 5_000_000), "RESOURCE_EXHAUSTED"),
}


# Where it is not called, it makes no difference what it would do.
SWITCHES = [
    *((True, True, state) for state in EULAS),
    *(
        (*switches, state)
        for switches in ((True, False), (False, True), (False, False))
        for state in ("up", "erroring")
    ),
]


@pytest.mark.parametrize(("enabled", "experiment", "state"), SWITCHES)
async def test_every_cell(
    *, eulas: ScriptedEulas, proxy: Proxy, log: LogCapture, enabled: bool, experiment: bool, state: str
) -> None:
    """{service} x {experiment} x {eulas}, and in one request {required?} x {statuses} x {the rider's status}."""
    eulas.on_check, reason = EULAS[state]
    is_asked = enabled and experiment
    timeout_ms = 100 if eulas.on_check is hanging else EVER_MS
    proxy.configure(TARIFFS, enabled=enabled, experiment=experiment, timeout_ms=timeout_ms, retries=1)
    before = failures()
    response = await proxy.route_stats(*CELLS, "not configured", *CELLS, uid=RIDERS_UID)

    shown, hidden = expected(can_be_told=is_asked and reason is None)
    assert response.shown == shown
    assert response.hidden == hidden
    assert list(response.hidden) == list(hidden)  # in the order of the request
    if not is_asked:
        assert eulas.checked == []
    for request in eulas.checked:
        assert (request.yandex_uid, list(request.eula_types), list(request.eula_ids)) == (RIDERS_UID, list(RIDER), [])
    grown = {name: value - before.get(name, 0) for name, value in failures().items() if value != before.get(name, 0)}
    warnings = [(line["level"], line["reason"]) for line in log.events("eulas does not tell")]
    assert grown == ({reason: 1} if is_asked and reason else {})
    assert warnings == ([("warning", reason)] if is_asked and reason else [])
    assert RIDERS_UID not in log.text
    assert not [line for line in log.events("call") if line["status"] != "OK"]


# --- one call


async def test_a_request_makes_one_call_of_eulas_and_a_repeat_makes_another(eulas: ScriptedEulas, proxy: Proxy) -> None:
    """Nothing is remembered: the rider may have answered meanwhile."""
    proxy.configure(TARIFFS)
    for status in STATUSES:
        eulas.on_check = knowing({"agreed": status})
        response = await proxy.route_stats("agreed accepted required")
        assert response.hidden == ({} if status == "accepted" else {"agreed accepted required": f"eula_{status}"})
    assert [list(request.eula_types) for request in eulas.checked] == [["agreed"]] * 3


async def test_the_call_is_made_as_api_proxy_under_the_riders_request_id(eulas: ScriptedEulas, proxy: Proxy) -> None:
    metadata = (*proxy.metadata(), ("x-request-id", "request-77"))
    request = api.GetRouteStatsRequest(zone_name="tel_aviv", tariffs=["econom_surge"])
    await call(proxy.channel, ROUTESTATS, request, metadata=metadata)
    verifier = TicketVerifier(proxy.suite.keys)
    ticket = verifier.verify(str(eulas.metadata["x-ya-service-ticket"]), destination="eulas")
    assert ticket.source == "api-proxy"
    assert eulas.metadata["x-request-id"] == "request-77"
    assert "x-yandex-uid" not in eulas.metadata


async def test_a_hundred_tariffs_of_a_hundred_types_are_one_call(eulas: ScriptedEulas, proxy: Proxy) -> None:
    names = [f"tariff-{number}" for number in range(100)]
    proxy.configure({name: requires(f"type of {name}", "accepted") for name in names})
    eulas.on_check = knowing({f"type of {name}": "accepted" for name in names[::2]})
    response = await proxy.route_stats(*names)
    assert response.shown == names[::2]
    assert response.hidden == dict.fromkeys(names[1::2], "eula_unknown")
    assert len(eulas.checked) == 1


# --- the experiment


async def test_the_experiment_can_be_for_some_riders_only(eulas: ScriptedEulas, proxy: Proxy) -> None:
    proxy.configure({"econom_surge": requires("surge", "accepted")})
    eulas.on_check = knowing({"surge": "accepted"})
    proxy.set_experiment(targeting={"if": [{"in": [{"var": "targetingKey"}, ["one", "two"]]}, "on", "off"]})
    for uid in ("one", "two"):
        assert (await proxy.route_stats("econom_surge", uid=uid)).shown == ["econom_surge"]
    assert (await proxy.route_stats("econom_surge", uid="three")).hidden == {"econom_surge": UNAVAILABLE}
    assert [request.yandex_uid for request in eulas.checked] == ["one", "two"]


async def test_as_it_is_shipped_the_experiment_is_on_for_everybody(eulas: ScriptedEulas, proxy: Proxy) -> None:
    eulas.on_check = knowing({"surge": "accepted"})
    for uid in ("1", "4000000001", "x" * 128):
        assert (await proxy.route_stats("econom_surge", uid=uid)).shown == ["econom_surge"]
