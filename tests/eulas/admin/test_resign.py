"""A change of ttl or revision makes those who have decided decide again: previewed, marked in batches, visible."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from prometheus_client import REGISTRY

from ridehail_clients import Agreement, AgreementRecord, EulaUpdatePreview
from ridehail_servers.eulas.admin import agreement_admin
from tests.eulas.admin.admin_harness import ACTOR, AdminHarness
from tests.eulas.admin.crashing import run_mark
from tests.eulas.harness import T0
from tests.support import processes
from tests.support.crash_injector import died
from tests.support.locks import waiting_for_locks
from tests.support.waiting import until

HOUR = timedelta(hours=1)


async def decide(admin: AdminHarness, *uids: str, eula_id: str = "surge_il", status: str = "accepted") -> None:
    for uid in uids:
        await admin.at.user(uid).save((eula_id, status))


async def status_of(admin: AdminHarness, uid: str, eula_id: str = "surge_il") -> str:
    ((_eula_id, _type, status),) = await admin.at.user(uid).check(eula_id)
    return str(status)


@pytest.mark.parametrize("changes", [{"ttl_s": 5}, {"revision": 2}, {"ttl_s": 5, "revision": 2}])
async def test_those_who_have_decided_have_to_decide_again(admin: AdminHarness, changes: dict[str, int]) -> None:
    await decide(admin, "a", "b")
    await decide(admin, "c", status="rejected")
    await decide(admin, "a", eula_id="rules")
    changed = await admin.update("surge_il", **changes)
    assert changed.asks_since == changed.version
    await admin.mark(changed.version)
    assert await admin.need_resign("surge_il") == ["a", "b", "c"]
    assert [await status_of(admin, uid) for uid in "abc"] == ["unknown"] * 3
    assert await status_of(admin, "a", "rules") == "accepted"
    assert ("surge_il", "unknown") in await admin.at.user("a").listed("unknown", "haifa")
    assert await admin.at.user("a").listed("signed") == [("rules", "accepted")]


@pytest.mark.parametrize("changes", [{"title": {"en": "x"}}, {"rejectable": False}, {"zones": ("haifa",)}])
async def test_other_changes_ask_nobody_again(admin: AdminHarness, changes: dict[str, object]) -> None:
    await decide(admin, "a")
    changed = await admin.update("surge_il", **changes)
    assert changed.asks_since == 0
    assert await admin.admin.list_resign_runs() == ()
    assert await status_of(admin, "a") == "accepted"


async def test_who_has_decided_again_is_not_asked_once_more(admin: AdminHarness) -> None:
    await decide(admin, "a", "b")
    changed = await admin.update("surge_il", ttl_s=5)
    await decide(admin, "a")
    await admin.mark(changed.version)
    await decide(admin, "b")
    await admin.mark(changed.version)
    assert await admin.need_resign("surge_il") == []
    assert [await status_of(admin, uid) for uid in "ab"] == ["accepted"] * 2


async def test_a_preview_says_how_many_an_update_asks_and_the_run_marks_as_many(admin: AdminHarness) -> None:
    await decide(admin, *(f"user-{number}" for number in range(7)))
    record = await admin.record("surge_il")
    await decide(admin, "long-expired", eula_id="rules")
    admin.at.pass_time(2 * HOUR)  # rules counts for an hour
    preview = await admin.admin.preview_eula_update(agreement=_with(record, ttl_s=5))
    assert preview == EulaUpdatePreview(record.version, ("ttl_s",), asks_again=True, riders=7, is_estimate=False)
    harmless = await admin.admin.preview_eula_update(agreement=_with(record, url=""))
    assert (harmless.changed_fields, harmless.asks_again, harmless.riders) == (("url",), False, 0)
    rules = await admin.record("rules")
    assert (await admin.admin.preview_eula_update(agreement=_with(rules, ttl_s=5))).riders == 0
    assert await admin.record("surge_il") == record
    changed = await admin.update("surge_il", ttl_s=5)
    await admin.mark(changed.version)
    (run,) = await admin.admin.list_resign_runs(eula_id="surge_il")
    assert (run.expected, run.marked, run.state) == (7, 7, "done")


async def test_many_riders_are_estimated(admin: AdminHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement_admin, "MAX_COUNTED", -1)
    preview = await admin.admin.preview_eula_update(agreement=_with(await admin.record("surge_il"), ttl_s=5))
    assert preview.is_estimate


async def test_progress_is_visible_batch_by_batch(admin: AdminHarness) -> None:
    await decide(admin, "a", "b", "c", "d")
    changed = await admin.update("surge_il", ttl_s=5)

    async def progress() -> tuple[object, ...]:
        (run,) = await admin.admin.list_resign_runs()
        return run.state, run.expected, run.checked, run.marked, run.finished_at

    seen = [await progress()]
    task = admin.task(batch_size=2)
    for _ in range(3):
        await task.mark_batch(changed.version, 2)
        seen.append(await progress())
    assert seen == [
        ("running", 4, 0, 0, None),
        ("running", 4, 2, 2, None),
        ("running", 4, 4, 4, None),
        ("done", 4, 4, 4, T0),
    ]


async def test_a_worker_does_the_run_and_counts_the_riders(admin: AdminHarness) -> None:
    def counted() -> float:
        return REGISTRY.get_sample_value("ridehail_eulas_riders_marked_total") or 0.0

    await decide(admin, "a", "b")
    before = counted()
    await admin.update("surge_il", revision=2)
    async with admin.at.suite.worker():
        await until(lambda: _is_done(admin))
    assert await admin.need_resign("surge_il") == ["a", "b"]
    assert counted() == before + 2


async def test_a_second_change_marks_those_who_have_decided_since_the_first(admin: AdminHarness) -> None:
    await decide(admin, "a", "b")
    first = await admin.update("surge_il", ttl_s=5)
    await decide(admin, "b")
    second = await admin.update("surge_il", ttl_s=6)
    await decide(admin, "a")
    for version in (second.version, first.version):
        await admin.mark(version)
    assert await admin.need_resign("surge_il") == ["b"]
    assert [await status_of(admin, uid) for uid in "ab"] == ["accepted", "unknown"]


async def test_marks_outlive_a_withdrawal(admin: AdminHarness) -> None:
    await decide(admin, "a")
    changed = await admin.update("surge_il", ttl_s=5)
    await admin.mark(changed.version)
    gone = await admin.admin.withdraw_eula(eula_id="surge_il", expected_version=changed.version, actor=ACTOR)
    await admin.in_force(gone.version)
    assert await admin.at.user("a").listed("signed") == []
    await admin.update("surge_il", url="")
    assert await status_of(admin, "a") == "unknown"


async def test_the_log_keeps_what_was_decided(admin: AdminHarness) -> None:
    await decide(admin, "a")
    log = await admin.at.user("a").log()
    changed = await admin.update("surge_il", ttl_s=5)
    await admin.mark(changed.version)
    assert await admin.at.user("a").log() == log


def _with(record: AgreementRecord, **changes: Any) -> Agreement:
    return replace(record.agreement, **changes)


async def _is_done(admin: AdminHarness) -> bool:
    return {run.state for run in await admin.admin.list_resign_runs()} == {"done"}


# --- the race: a rider saves in the same moment


async def test_a_save_by_a_process_that_does_not_know_of_the_change_yet_does_not_count(admin: AdminHarness) -> None:
    """The task has gone past the rider already, so only the save itself can tell."""
    version = (await admin.record("surge_il")).version
    changed = await admin.update("surge_il", ttl_s=5)
    await admin.mark(changed.version)
    await admin.save_as_of(version, "a")
    assert await admin.need_resign("surge_il") == ["a"]
    assert await status_of(admin, "a") == "unknown"
    await admin.save_as_of(changed.version, "a")
    assert await status_of(admin, "a") == "accepted"


async def test_a_save_under_way_ends_before_the_change_and_is_marked(admin: AdminHarness) -> None:
    url = admin.at.suite.database_url
    version = (await admin.record("surge_il")).version
    async with await psycopg.AsyncConnection.connect(url) as saving:
        # given: a rider's save that is not committed yet
        await admin.save_as_of(version, "a", saving)
        # when: an admin changes the agreement
        change = admin.start_update("surge_il", ttl_s=5)
        await until(lambda: waiting_for_locks(url))
        assert not change.done()
        await saving.commit()
    changed = await change
    # then: the task sees the decision
    await admin.mark(changed.version)
    assert await admin.need_resign("surge_il") == ["a"]


async def test_a_save_during_the_change_waits_for_it_and_does_not_count(admin: AdminHarness) -> None:
    url = admin.at.suite.database_url
    version = (await admin.record("surge_il")).version
    # given: a change that has locked the agreement and waits before its commit
    async with admin.held_change() as held:
        change = admin.start_update("surge_il", ttl_s=5)
        await held.arrived.wait()
        # when: a rider saves meanwhile
        save = admin.start_save_as_of(version, "a")
        await until(lambda: waiting_for_locks(url))
        assert not save.done()
        held.passes.set()
        changed = await change
        await save
    # then: it has not escaped, though the task went past before it was visible, or would have
    assert await admin.need_resign("surge_il") == ["a"]
    await admin.mark(changed.version)
    assert await status_of(admin, "a") == "unknown"


async def test_a_save_during_the_batch_that_would_mark_it_stays(admin: AdminHarness) -> None:
    """The batch has seen the old decision and waits for the rider's new one: it must judge that."""
    url = admin.at.suite.database_url
    await decide(admin, "a", "b")
    changed = await admin.update("surge_il", ttl_s=5)
    async with await psycopg.AsyncConnection.connect(url) as saving:
        await admin.save_as_of(changed.version, "a", saving)
        mark = asyncio.create_task(admin.mark(changed.version))
        await until(lambda: waiting_for_locks(url))
        await saving.commit()
        await mark
    assert await admin.need_resign("surge_il") == ["b"]
    assert await status_of(admin, "a") == "accepted"


async def test_a_save_that_waits_for_the_batch_that_marks_it_counts(admin: AdminHarness) -> None:
    url = admin.at.suite.database_url
    await decide(admin, "a")
    changed = await admin.update("surge_il", ttl_s=5)
    async with await psycopg.AsyncConnection.connect(url) as marking:
        await admin.mark_in(marking, changed.version)
        save = admin.start_save_as_of(changed.version, "a")
        await until(lambda: waiting_for_locks(url))
        await marking.commit()
        await save
    assert await admin.need_resign("surge_il") == []
    assert await status_of(admin, "a") == "accepted"


async def test_saves_of_other_agreements_do_not_wait_for_a_change(admin: AdminHarness) -> None:
    async with admin.held_change() as held:
        change = admin.start_update("surge_il", ttl_s=5)
        await held.arrived.wait()
        await decide(admin, "a", eula_id="rules")
        held.passes.set()
        await change


async def test_riders_who_save_at_once_do_not_wait_for_each_other(admin: AdminHarness) -> None:
    version = (await admin.record("surge_il")).version
    async with await psycopg.AsyncConnection.connect(admin.at.suite.database_url) as saving:
        await admin.save_as_of(version, "a", saving)
        await decide(admin, "b")
    assert await status_of(admin, "b") == "accepted"


# --- kill -9

RIDERS = 11


def fill(url: str) -> None:
    """Stores decisions, a run of a change of their agreement, and a rider who has decided since."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            """
            INSERT INTO eulas.users (yandex_uid, eula_id, status, revision, valid_till)
            SELECT 'user-' || n, 'surge_il', 'accepted', 1, now() + interval '1 day' FROM generate_series(1, %s) AS n
            """,
            (RIDERS,),
        )
        connection.execute("UPDATE eulas.users SET catalogue_version = 7 WHERE yandex_uid = 'user-5'")
        connection.execute(
            """
            INSERT INTO eulas.resign_runs (version, eula_id, revision, expected, requested_at)
            VALUES (7, 'surge_il', 1, %s, now())
            """,
            (RIDERS,),
        )


def test_killed_after_any_step_and_run_twice_at_once_it_marks_each_rider_once(module_database_url: str) -> None:
    url = module_database_url
    now = datetime.now(UTC)
    with psycopg.connect(url, autocommit=True) as connection:
        for step in (1, 2, 3, 4, 7):  # each step of a batch, and one of the next
            connection.execute("DELETE FROM eulas.users")
            connection.execute("DELETE FROM eulas.resign_runs")
            fill(url)
            assert died(processes.start(run_mark, url, 7, now, 3, step), url)
            (marked, checked) = connection.execute("SELECT marked, checked FROM eulas.resign_runs").fetchone() or ()
            flagged = connection.execute("SELECT count(*) FROM eulas.users WHERE need_resign").fetchone()
            assert (flagged, checked % 3) == ((marked,), 0)
            for process in [processes.start(run_mark, url, 7, now, 3) for _ in range(2)]:
                assert processes.ended_well(process)
            run = connection.execute("SELECT marked, checked, finished_at IS NULL FROM eulas.resign_runs").fetchone()
            assert run == (RIDERS - 1, RIDERS, False)
            left = connection.execute("SELECT yandex_uid FROM eulas.users WHERE NOT need_resign").fetchall()
            assert left == [("user-5",)]
