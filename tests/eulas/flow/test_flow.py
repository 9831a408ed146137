from __future__ import annotations

import grpc
import pytest

from ridehail_clients import (
    EulaDecision,
    EulaNotFound,
    EulaNotRejectable,
    EulaState,
    InvalidRequest,
    RetryPolicy,
    SessionExpired,
    TransportUnavailable,
)
from tests.clients.scripted_server import Reply, ScriptedServer, fail, info, retry_after
from tests.eulas.flow.scripted_eulas import EXPIRED, OUTAGE, App, FakeTime, ScriptedEulas, Start

ACCEPTED, REJECTED = EulaState.ACCEPTED, EulaState.REJECTED
ACCEPT_SURGE, REJECT_SURGE = EulaDecision("surge", ACCEPTED), EulaDecision("surge", REJECTED)
ACCEPT_BELTS = EulaDecision("belts", ACCEPTED)
UNAVAILABLE = {
    "unreachable": OUTAGE,
    "overloaded": fail(grpc.StatusCode.RESOURCE_EXHAUSTED, info("OVERLOADED"), retry_after(0.5)),
    "out of time": fail(grpc.StatusCode.DEADLINE_EXCEEDED),
    "defect": fail(grpc.StatusCode.INTERNAL, info("INTERNAL")),
}
outages = pytest.mark.parametrize("outage", UNAVAILABLE.values(), ids=UNAVAILABLE)


def ids(eulas: tuple[object, ...]) -> list[str]:
    return [getattr(one, "eula_id") for one in eulas]  # noqa: B009


async def test_unknown_agreements_are_listed_decided_in_one_call_and_then_signed(
    app: App, service: ScriptedEulas, server: ScriptedServer
) -> None:
    service.configured = {"surge", "belts"}
    shown = await app("list_unknown", zone_name="tel_aviv")
    assert (ids(shown.eulas), shown.available) == (["belts", "surge"], True)

    report = await app("answer", [REJECT_SURGE, ACCEPT_BELTS])

    assert (report.saved, report.refused, report.unsaved) == ((REJECT_SURGE, ACCEPT_BELTS), (), ())
    assert (report.refresh, report.failure) == (("routestats",), None)
    assert [(one.eula_id, one.status) for one in report.signed] == [("belts", ACCEPTED), ("surge", REJECTED)]
    assert ids((await app("list_unknown", zone_name="tel_aviv")).eulas) == []
    prefix = "PassengerEulasService"
    assert [one.rpc.removeprefix(prefix) for one in server.received] == [
        "ListEulas",
        "SaveEulas",
        "ListEulas",
        "ListEulas",
    ]


@outages
async def test_nothing_is_listed_while_the_service_is_unavailable(
    app: App, service: ScriptedEulas, outage: Reply
) -> None:
    service.configured = {"surge"}
    service.before_listing.append(outage)

    shown = await app("list_unknown", zone_name="tel_aviv")

    assert (shown.eulas, shown.available) == ((), False)


async def test_an_error_about_the_caller_is_raised(app: App, service: ScriptedEulas) -> None:
    service.before_listing.extend([EXPIRED, EXPIRED])

    with pytest.raises(SessionExpired):
        await app("list_unknown", zone_name="tel_aviv")
    with pytest.raises(SessionExpired):
        await app("list_signed")


@outages
async def test_an_unsaved_decision_is_pending_not_listed_again_and_saved_after_a_restart(
    start: Start, service: ScriptedEulas, outage: Reply
) -> None:
    service.configured = {"surge", "belts"}
    service.before_saving.append(outage)
    async with start() as app:
        report = await app("answer", [ACCEPT_SURGE])
        assert (report.saved, report.unsaved, report.refresh) == ((), (ACCEPT_SURGE,), ())
        assert report.failure is not None
        assert ids((await app("list_unknown", zone_name="tel_aviv")).eulas) == ["belts"]

    async with start() as app:
        report = await app("save_kept")

    assert (report.saved, report.unsaved, report.refresh) == ((ACCEPT_SURGE,), (), ("routestats",))
    assert ids(report.signed) == ["surge"]
    assert service.arrived == [("anna", "surge", "accepted")]


async def test_a_newer_decision_replaces_a_pending_one(app: App, service: ScriptedEulas) -> None:
    service.before_saving.extend([OUTAGE, OUTAGE])
    await app("answer", [ACCEPT_SURGE, ACCEPT_BELTS])
    report = await app("answer", [REJECT_SURGE])
    assert report.unsaved == (ACCEPT_BELTS, REJECT_SURGE)

    await app("save_kept")

    assert service.arrived == [("anna", "belts", "accepted"), ("anna", "surge", "rejected")]


async def test_the_last_of_two_decisions_in_one_call_counts(app: App, service: ScriptedEulas) -> None:
    await app("answer", [ACCEPT_SURGE, REJECT_SURGE])

    assert service.arrived == [("anna", "surge", "rejected")]


async def test_a_decision_is_sent_with_the_pending_ones_without_a_pause(
    app: App, service: ScriptedEulas, time: FakeTime
) -> None:
    service.before_saving.append(OUTAGE)
    await app("answer", [ACCEPT_SURGE])

    report = await app("answer", [ACCEPT_BELTS])

    assert report.saved == (ACCEPT_SURGE, ACCEPT_BELTS)
    assert time.slept == []


async def test_pauses_double_up_to_a_maximum_and_a_run_has_a_limit_of_attempts(
    start: Start, server: ScriptedServer, time: FakeTime, service: ScriptedEulas
) -> None:
    service.before_saving.extend([OUTAGE] * 6)
    policy = RetryPolicy(attempts=5, initial_backoff_s=1, max_backoff_s=5)
    async with start(retry=policy) as app:
        await app("answer", [ACCEPT_SURGE])
        report = await app("save_kept")

    assert len(server.received) == 6
    assert time.slept == [1, 2, 4, 5, 5]
    assert report.unsaved == (ACCEPT_SURGE,)
    assert isinstance(report.failure, TransportUnavailable)

    async with start(retry=policy) as app:
        report = await app("save_kept")
    assert time.slept == [1, 2, 4, 5, 5, 5]
    assert report.saved == (ACCEPT_SURGE,)


async def test_success_resets_the_pauses(app: App, service: ScriptedEulas, time: FakeTime) -> None:
    service.before_saving.extend([OUTAGE, OUTAGE, None, OUTAGE, None])
    await app("answer", [ACCEPT_SURGE])
    await app("save_kept")
    await app("answer", [ACCEPT_BELTS])
    await app("save_kept")

    assert time.slept == [1, 2, 1]


async def test_pauses_are_random(start: Start, time: FakeTime, service: ScriptedEulas) -> None:
    service.before_saving.extend([OUTAGE] * 3)
    draws = iter([0.5, 0.25, 0.0])
    async with start(random=lambda: next(draws)) as app:
        await app("answer", [ACCEPT_SURGE])
        await app("save_kept")

    assert time.slept == [0.5, 0.5]
    assert service.decisions == {"anna": {"surge": "accepted"}}


@pytest.mark.parametrize(("requested", "kept"), [(7.0, 7.0), (1e9, 3600.0)])
async def test_the_retry_delay_of_the_service_is_kept_up_to_an_hour(
    app: App, service: ScriptedEulas, time: FakeTime, requested: float, kept: float
) -> None:
    service.before_saving.append(fail(grpc.StatusCode.UNAVAILABLE, retry_after(requested)))
    await app("answer", [ACCEPT_SURGE])

    await app("save_kept")

    assert time.slept == [kept]


@pytest.mark.parametrize("jump", [-1e8, 1e8])
async def test_a_clock_that_jumps_costs_one_pause_at_most(
    app: App, service: ScriptedEulas, time: FakeTime, jump: float
) -> None:
    service.before_saving.append(OUTAGE)
    await app("answer", [ACCEPT_SURGE])
    time.now += jump

    report = await app("save_kept")

    assert report.saved == (ACCEPT_SURGE,)
    assert sum(time.slept) <= 1


async def test_nothing_is_called_without_pending_decisions(app: App, server: ScriptedServer, time: FakeTime) -> None:
    report = await app("save_kept")

    assert (report.saved, report.unsaved, report.signed, report.failure) == ((), (), None, None)
    assert (server.received, time.slept) == ([], [])


REFUSED: dict[str, type[Exception]] = {
    "gone": EulaNotFound,
    "duty": EulaNotRejectable,
    "bell\x07": InvalidRequest,
}


@pytest.mark.parametrize("names_the_refused", [True, False], ids=["named", "not named"])
@pytest.mark.parametrize("count", [4, 230])
async def test_refused_decisions_are_dropped_and_reported_and_do_not_delay_others(
    app: App, service: ScriptedEulas, server: ScriptedServer, names_the_refused: bool, count: int
) -> None:
    good = [EulaDecision(f"good-{number}", REJECTED) for number in range(count)]
    service.names_the_refused = names_the_refused
    service.configured = {one.eula_id for one in good} | {"duty"}
    service.not_rejectable, service.invalid = {"duty"}, {"bell\x07"}
    bad = [EulaDecision(eula_id, REJECTED) for eula_id in REFUSED]

    report = await app("answer", [*good[:2], *bad, *good[2:]])

    assert sorted(report.saved, key=good.index) == good
    assert {one.decision.eula_id: type(one.error) for one in report.refused} == REFUSED
    assert (report.unsaved, report.failure) == ((), None)
    assert service.decisions["anna"] == {one.eula_id: "rejected" for one in good}
    assert max(len(one.request.eulas) for one in server.received if "Save" in one.rpc) <= 100  # type: ignore[attr-defined]
    assert await app("unsaved") == ()


async def test_an_expired_session_keeps_the_decisions_pending_and_ends_the_run(
    app: App, service: ScriptedEulas, server: ScriptedServer, time: FakeTime
) -> None:
    service.before_saving.extend([EXPIRED, EXPIRED])
    assert isinstance((await app("answer", [ACCEPT_SURGE])).failure, SessionExpired)

    report = await app("save_kept")

    assert isinstance(report.failure, SessionExpired)
    assert (report.unsaved, len(server.received), time.slept) == ((ACCEPT_SURGE,), 2, [])
    assert (await app("save_kept")).saved == (ACCEPT_SURGE,)


async def test_signed_agreements_are_known_without_the_service_after_a_restart(
    start: Start, service: ScriptedEulas
) -> None:
    async with start() as app:
        await app("answer", [ACCEPT_SURGE])
        listed = await app("list_signed")
    service.before_listing.append(OUTAGE)

    async with start() as app:
        known = await app("list_signed")

    assert listed.available
    assert (known.eulas, known.available) == (listed.eulas, False)
    assert ids(known.eulas) == ["surge"]


async def test_a_list_that_fails_after_saving_is_repeated(
    app: App, service: ScriptedEulas, server: ScriptedServer
) -> None:
    service.before_listing.extend([OUTAGE, OUTAGE])
    report = await app("answer", [ACCEPT_SURGE])
    assert (report.saved, report.signed) == ((ACCEPT_SURGE,), None)
    assert isinstance(report.failure, TransportUnavailable)

    report = await app("save_kept")

    assert (ids(report.signed), report.failure) == (["surge"], None)
    assert len([one for one in server.received if "Save" in one.rpc]) == 1


async def test_decisions_of_one_account_are_never_sent_for_another(start: Start, service: ScriptedEulas) -> None:
    service.before_saving.append(OUTAGE)
    async with start(account="anna") as app:
        await app("answer", [ACCEPT_SURGE])

    async with start(account="boris") as app:
        assert await app("unsaved") == ()
        assert (await app("save_kept")).saved == ()
        assert (await app("answer", [ACCEPT_BELTS])).saved == (ACCEPT_BELTS,)
        service.before_listing.append(OUTAGE)
        assert ids((await app("list_signed")).eulas) == ["belts"]

    async with start(account="anna") as app:
        assert (await app("save_kept")).saved == (ACCEPT_SURGE,)
    assert service.arrived == [("boris", "belts", "accepted"), ("anna", "surge", "accepted")]


@pytest.mark.parametrize(
    "bad",
    [
        EulaDecision("", ACCEPTED),
        EulaDecision("x" * 129, ACCEPTED),
        EulaDecision("surge", EulaState.UNKNOWN),
        EulaDecision("\ud800", ACCEPTED),
    ],
    ids=["no id", "long id", "unknown", "no text"],
)
async def test_an_invalid_decision_is_refused_and_none_is_pending(
    app: App, service: ScriptedEulas, server: ScriptedServer, bad: EulaDecision
) -> None:
    with pytest.raises(ValueError, match=r".+"):
        await app("answer", [ACCEPT_SURGE, bad])

    assert await app("unsaved") == ()
    assert server.received == []
