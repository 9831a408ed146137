"""States are copied from one back end to the other, and nothing newer is ever overwritten."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from ridehail_servers.command_line.personalstate import BackEndName
from ridehail_servers.command_line.personalstate_jobs import RemoteEndpoint
from ridehail_servers.user_state.copying import CopyCounts, EndpointUnavailable, PageTooLarge
from tests.personal_state_backend.backends import STATE_TABLES, BackEnd, copy_of
from tests.personal_state_backend.copying import (
    Direction,
    check_copies_beside_changes,
    comparable,
    copying,
    nothing,
    states,
)

# --- the contract


async def test_states_are_listed_by_user_page_by_page(back_end: BackEnd) -> None:
    uids = ["10", "9", "a", "B", "\u044b", "Z", "\U0001f695", "~", "-", "_"]
    for uid in uids:
        await back_end.update("0", uid, uid=uid)
    in_order = sorted(uids)
    assert [copy.yandex_uid for copy in await back_end.copies()] == in_order
    paged: list[str] = []
    while page := await back_end.copies(after_yandex_uid=paged[-1] if paged else "", page_size=3):
        paged += [copy.yandex_uid for copy in page]
    assert paged == in_order
    assert await back_end.copies(after_yandex_uid=in_order[-1]) == ()


async def test_only_states_changed_since_are_listed_by_update_or_import(back_end: BackEnd) -> None:
    for uid in ("1", "2", "3"):
        await back_end.update("0", uid=uid)
    since = datetime.now(UTC)
    await back_end.update("1", uid="2")
    await back_end.take(copy_of("3", 5), copy_of("4", 1))
    assert [copy.yandex_uid for copy in await back_end.copies(changed_since=since)] == ["2", "3", "4"]
    assert [copy.yandex_uid for copy in await back_end.copies(changed_since=since, after_yandex_uid="2")] == ["3", "4"]
    assert await back_end.copies(changed_since=since + timedelta(minutes=1)) == ()


async def test_a_copy_is_stored_only_if_its_revision_is_higher(back_end: BackEnd) -> None:
    assert await back_end.take(copy_of("1", 3, "a"), copy_of("2", 3, "a"), copy_of("3", 0, "a")) == 2
    assert await back_end.take(copy_of("1", 2, "b"), copy_of("2", 3, "b"), copy_of("4", 1, "b")) == 1
    assert await back_end.take(copy_of("2", 10**18 - 1, "c")) == 1
    found = {uid: (copy.revision_id, copy.selected_category) for uid, copy in (await states(back_end)).items()}
    assert found == {"1": ("3", "a"), "2": ("999999999999999999", "c"), "4": ("1", "b")}
    assert (await back_end.get("3")).revision_id == "0"


async def test_imports_in_opposite_order_do_not_deadlock(back_end: BackEnd) -> None:
    copies = [copy_of(f"user-{number}", 1) for number in range(200)]
    for revision in range(1, 5):
        newer = [copy_of(copy.yandex_uid, revision) for copy in copies]
        stored = await asyncio.gather(*(back_end.take(*batch) for batch in (newer, newer[::-1]) for _ in range(3)))
        assert sum(stored) == 200
    assert await back_end.suite.rows("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == [
        (0,)
    ]


# --- the job in this process


async def test_all_states_are_copied_and_a_repeat_copies_nothing(direction: Direction) -> None:
    source, destination = direction
    await source.take(*(copy_of(f"user-{n}", 2, "a", {"b": {"n": n}, "a": {}}) for n in range(25)))
    await destination.take(copy_of("user-3", 1, "old"), copy_of("user-4", 2, "same"), copy_of("user-5", 7, "newer"))
    await destination.take(copy_of("only-there", 1))
    for size in (1, 5, 7, 500):
        async with copying(source, destination, page_size=size) as job:
            due = 23 if size == 1 else 0
            assert await job.run(nothing, dry_run=True) == CopyCounts(25, due)
            assert await job.run(nothing) == CopyCounts(25, due)
    ours, theirs = comparable(await states(source)), comparable(await states(destination))
    assert {uid for uid in theirs if theirs[uid] != ours.get(uid)} == {"user-4", "user-5", "only-there"}


async def test_states_that_do_not_fit_into_one_message_are_copied_in_several(
    direction: Direction,
) -> None:
    source, destination = direction
    large = {"a": {"b": "x" * 65_000}}
    for number in range(0, 70, 10):
        await source.take(*(copy_of(f"user-{n:03}", 1, "", large) for n in range(number, number + 10)))
    with pytest.raises(PageTooLarge):
        await RemoteEndpoint(BackEndName(source.name), source.admin).list_states("", None, 100)
    async with copying(source, destination) as job:
        assert await job.run(nothing) == CopyCounts(70, 70)
    ours, theirs = await states(source, page_size=1), await states(destination, page_size=1)
    assert comparable(theirs) == comparable(ours)


async def test_a_late_commit_is_found_by_the_next_pass(direction: Direction) -> None:
    """A pass goes back far enough to find a change whose timestamp precedes the pass that missed it."""
    source, destination = direction
    passes: list[EndpointUnavailable | None] = []

    async def pause(failure: EndpointUnavailable | None) -> None:
        passes.append(failure)
        if len(passes) == 1:
            await source.update("0", "late", uid="late")
            await source.update("0", "later", uid="too late")
            for uid, seconds in (("late", 50), ("too late", 120)):
                timestamp = datetime.now(UTC) - timedelta(seconds=seconds)
                await source.suite.execute(
                    f"UPDATE {STATE_TABLES[source.name]} SET updated_at = %s WHERE yandex_uid = %s", timestamp, uid
                )
        if len(passes) == 3:
            raise asyncio.CancelledError

    async with copying(source, destination) as job:
        with pytest.raises(asyncio.CancelledError):
            await job.follow(nothing, pause)
    assert set(await states(destination)) == {"late"}
    assert passes == [None, None, None]


async def test_an_interrupted_pass_is_repeated(direction: Direction) -> None:
    source, destination = direction
    await source.take(copy_of("before", 1))
    failures: list[EndpointUnavailable | None] = []

    async with (
        copying(source, destination) as job,
        await psycopg.AsyncConnection.connect(source.suite.database_url) as lock,
    ):

        async def pause(failure: EndpointUnavailable | None) -> None:
            failures.append(failure)
            if len(failures) == 1:
                await source.update("0", uid="meanwhile")
                await lock.execute(f"LOCK TABLE {STATE_TABLES[destination.name]} IN EXCLUSIVE MODE".encode())
            elif len(failures) == 2:
                await lock.rollback()
            else:
                raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await job.follow(nothing, pause)
    assert "DATABASE_UNAVAILABLE" in str(failures[1])
    assert [failures[0], failures[2]] == [None, None]
    assert set(await states(destination)) == {"before", "meanwhile"}


async def one_gives_up(source: BackEnd, destination: BackEnd) -> None:
    """Copies by two concurrent jobs, one of which ends after its first page."""
    first_page = asyncio.Event()
    async with copying(source, destination, page_size=20) as ending, copying(source, destination, page_size=20) as job:
        copies = [
            asyncio.create_task(ending.run(lambda _done: first_page.set())),
            asyncio.create_task(job.run(nothing)),
        ]
        await first_page.wait()
        copies[0].cancel()
        await copies[1]


async def test_cancelled_concurrent_copies_beside_updates_copy_all_and_overwrite_nothing_newer(
    direction: Direction,
) -> None:
    await check_copies_beside_changes(direction, 200, one_gives_up)
