"""Which agreements a zone requires of a rider, as eulas returns them; the field is absent while eulas fails."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from ridehail.eulas.v1 import eulas_api_pb2, eulas_pb2
from tests.api_proxy.proxy import EVER_MS, Proxy, failures
from tests.api_proxy.scripted_eulas import Behaviour, ScriptedEulas, failing, hanging, saying
from tests.support.log_capture import LogCapture

SURGE = eulas_pb2.Eula(
    eula_id="surge_il",
    type="surge",
    status="unknown",
    title="\u05de\u05d7\u05d9\u05e8\u05d9\u05dd",
    text="Rides cost more at times.",
    url="https://example.com/surge",
    rejectable=True,
)
BARE = eulas_pb2.Eula(eula_id="bare", status="unknown")


def listing(*eulas: eulas_pb2.Eula) -> Behaviour:
    """ListEulas with these agreements."""
    return saying(eulas_api_pb2.ListEulasResponse(eulas=eulas).SerializeToString())


async def test_the_riders_unanswered_agreements_are_told_in_full(eulas: ScriptedEulas, proxy: Proxy) -> None:
    eulas.on_list = listing(SURGE, BARE)
    assert await proxy.need_acceptance("moscow", uid="rider", accept_language="he, en;q=0.8") == [
        {
            "eula_id": "surge_il",
            "type": "surge",
            "status": "unknown",
            "title": "\u05de\u05d7\u05d9\u05e8\u05d9\u05dd",
            "text": "Rides cost more at times.",
            "url": "https://example.com/surge",
            "rejectable": True,
        },
        {"eula_id": "bare", "type": "", "status": "unknown", "title": "", "text": "", "url": "", "rejectable": False},
    ]
    assert eulas.listed == [
        eulas_api_pb2.ListEulasRequest(yandex_uid="rider", filter="unknown", zone_name="moscow", locale="he, en;q=0.8")
    ]


async def test_none_is_not_the_same_as_not_told(eulas: ScriptedEulas, proxy: Proxy) -> None:
    eulas.on_list = listing()
    assert await proxy.need_acceptance() == []
    eulas.on_list = failing(grpc.StatusCode.INTERNAL)
    assert await proxy.need_acceptance() is None


async def test_without_a_language_none_is_named(eulas: ScriptedEulas, proxy: Proxy) -> None:
    await proxy.need_acceptance()
    assert eulas.listed[0].locale == ""


@pytest.mark.parametrize(
    ("sent", "passed_on"),
    [
        ("he" + "," * 254, "he" + "," * 254),
        (",".join(["en-GB"] * 43), ",".join(["en-GB"] * 42)),  # the 43rd would end at the 257th character
        (f"he,{'x' * 253},ru", f"he,{'x' * 253}"),  # 256 characters, then a comma
        ("x" * 3000, ""),
    ],
    ids=["as long as may be", "too long", "a comma at the end", "one endless language"],
)
async def test_of_a_long_header_whole_languages_are_passed_on(
    eulas: ScriptedEulas, proxy: Proxy, sent: str, passed_on: str
) -> None:
    assert await proxy.need_acceptance(accept_language=sent) == []
    assert eulas.listed[0].locale == passed_on


# How eulas fails, and the reason under which that is counted.
FAILURES: dict[str, tuple[Behaviour, str]] = {
    "slow past the timeout": (hanging, "DEADLINE_EXCEEDED"),
    "unavailable": (failing(grpc.StatusCode.UNAVAILABLE), "UNAVAILABLE"),
    "erroring": (failing(grpc.StatusCode.INTERNAL), "INTERNAL"),
    "denying": (failing(grpc.StatusCode.PERMISSION_DENIED), "PERMISSION_DENIED"),
    "refusing the request": (failing(grpc.StatusCode.INVALID_ARGUMENT), "INVALID_ARGUMENT"),
    "answering no message": (saying(b"\xff\xff\xff"), "INTERNAL"),
    "answering an agreement without id": (listing(SURGE, eulas_pb2.Eula(status="unknown")), "UNREADABLE"),
    "answering no status": (listing(SURGE, eulas_pb2.Eula(eula_id="one")), "INTERNAL"),
    "answering what is answered": (listing(eulas_pb2.Eula(eula_id="one", status="accepted")), "UNREADABLE"),
    "answering an unknown status": (listing(eulas_pb2.Eula(eula_id="one", status="perhaps")), "INTERNAL"),
    "answering an impossible timestamp": (
        listing(eulas_pb2.Eula(eula_id="one", status="unknown", valid_till=Timestamp(seconds=2**62))),
        "INTERNAL",
    ),
}


@pytest.mark.parametrize("state", FAILURES)
async def test_the_field_is_left_out_where_eulas_does_not_tell(
    eulas: ScriptedEulas, proxy: Proxy, log: LogCapture, state: str
) -> None:
    eulas.on_list, reason = FAILURES[state]
    proxy.configure({}, timeout_ms=300 if eulas.on_list is hanging else EVER_MS)
    before = failures().get(reason, 0)
    assert await proxy.need_acceptance(uid="uid-4077") is None
    assert failures()[reason] == before + 1
    (warning,) = log.events("eulas does not tell")
    assert (warning["level"], warning["reason"]) == ("warning", reason)
    assert warning["request_id"]
    assert "uid-4077" not in log.text


async def test_eulas_is_not_asked_while_the_service_is_disabled(eulas: ScriptedEulas, proxy: Proxy) -> None:
    eulas.on_list = listing(SURGE)
    proxy.configure({}, enabled=False)
    assert await proxy.need_acceptance() is None
    assert eulas.listed == []


async def test_the_experiment_of_the_tariff_filter_changes_nothing_here(eulas: ScriptedEulas, proxy: Proxy) -> None:
    eulas.on_list = listing(BARE)
    proxy.configure({}, experiment=False)
    assert len(await proxy.need_acceptance() or ()) == 1
