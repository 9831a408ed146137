"""States are copied from one back end to the other, and nothing newer is ever overwritten."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from ridehail_clients import PersonalStateCopy, RetryPolicy
from ridehail_servers.chassis.clock import system_clock
from ridehail_servers.command_line.personalstate import BackEndName
from ridehail_servers.command_line.personalstate_copying import RemoteBackEnd
from ridehail_servers.user_state.copying import BackEndUnavailable, Copied, Copying, PageTooLarge
from tests.personal_states.back_ends import STATE_TABLES, BackEnd, copy_of
from tests.support.suite_in_process import SuiteInProcess
from tests.support.up import RIDEHAIL
from tests.support.waiting import until

DIRECTIONS = [("protocol", "user-state"), ("user-state", "protocol")]


@pytest.fixture(params=DIRECTIONS, ids=lambda direction: f"{direction[0]} to {direction[1]}")
def direction(both: SuiteInProcess, request: pytest.FixtureRequest) -> tuple[BackEnd, BackEnd]:
    source, destination = request.param
    return BackEnd(both, source), BackEnd(both, destination)


@asynccontextmanager
async def copying(source: BackEnd, destination: BackEnd, **options: Any) -> AsyncIterator[Copying]:
    """The job as the command runs it, in this process."""
    quick = RetryPolicy(attempts=1)
    async with source.client("admin", retry=quick) as ours, destination.client("admin", retry=quick) as theirs:
        yield Copying(
            RemoteBackEnd(BackEndName(source.name), ours),
            RemoteBackEnd(BackEndName(destination.name), theirs),
            system_clock,
            **options,
        )


async def states(back_end: BackEnd, *, page_size: int = 250) -> dict[str, PersonalStateCopy]:
    found: dict[str, PersonalStateCopy] = {}
    while page := await back_end.copies(after_yandex_uid=max(found, default=""), page_size=page_size):
        found |= {copy.yandex_uid: copy for copy in page}
    return found


def comparable(found: dict[str, PersonalStateCopy]) -> dict[str, Any]:
    """States by user; the order of tariffs is each back end's own."""
    return {
        uid: (
            copy.revision_id,
            copy.selected_category,
            sorted(json.dumps([one.category, one.requirements], sort_keys=True) for one in copy.tariffs),
        )
        for uid, copy in found.items()
    }


def nothing(_done: Copied) -> None:
    """Where nobody looks at the progress."""


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


async def test_only_what_changed_since_is_listed_whoever_changed_it(back_end: BackEnd) -> None:
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


async def test_imports_in_opposite_order_never_wait_for_each_other_in_a_circle(back_end: BackEnd) -> None:
    copies = [copy_of(f"user-{number}", 1) for number in range(200)]
    for revision in range(1, 5):
        newer = [copy_of(copy.yandex_uid, revision) for copy in copies]
        stored = await asyncio.gather(*(back_end.take(*batch) for batch in (newer, newer[::-1]) for _ in range(3)))
        assert sum(stored) == 200
    assert await back_end.suite.rows("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == [
        (0,)
    ]


# --- the job in this process


async def test_all_states_are_copied_and_a_repeat_copies_nothing(direction: tuple[BackEnd, BackEnd]) -> None:
    source, destination = direction
    await source.take(*(copy_of(f"user-{n}", 2, "a", {"b": {"n": n}, "a": {}}) for n in range(25)))
    await destination.take(copy_of("user-3", 1, "old"), copy_of("user-4", 2, "same"), copy_of("user-5", 7, "newer"))
    await destination.take(copy_of("only-there", 1))
    for size in (1, 5, 7, 500):
        async with copying(source, destination, page_size=size) as job:
            due = 23 if size == 1 else 0
            assert await job.run(nothing, dry=True) == Copied(25, due)
            assert await job.run(nothing) == Copied(25, due)
    ours, theirs = comparable(await states(source)), comparable(await states(destination))
    assert {uid for uid in theirs if theirs[uid] != ours.get(uid)} == {"user-4", "user-5", "only-there"}


async def test_states_that_do_not_fit_into_one_message_are_copied_in_several(
    direction: tuple[BackEnd, BackEnd],
) -> None:
    source, destination = direction
    large = {"a": {"b": "x" * 65_000}}
    for number in range(0, 100, 10):
        await source.take(*(copy_of(f"user-{n:03}", 1, "", large) for n in range(number, number + 10)))
    with pytest.raises(PageTooLarge):
        async with source.client("admin") as client:
            await RemoteBackEnd(BackEndName(source.name), client).list_states("", None, 100)
    async with copying(source, destination) as job:
        assert await job.run(nothing) == Copied(100, 100)
    ours, theirs = await states(source, page_size=1), await states(destination, page_size=1)
    assert comparable(theirs) == comparable(ours)


async def test_what_is_committed_late_is_found_by_the_next_pass(direction: tuple[BackEnd, BackEnd]) -> None:
    """A pass goes back far enough to see a change whose time of change lies before the pass that missed it."""
    source, destination = direction
    passes: list[BackEndUnavailable | None] = []

    async def pause(failure: BackEndUnavailable | None) -> None:
        passes.append(failure)
        if len(passes) == 1:
            await source.update("0", "late", uid="late")
            await source.update("0", "later", uid="too late")
            for uid, seconds in (("late", 50), ("too late", 120)):
                moment = datetime.now(UTC) - timedelta(seconds=seconds)
                await source.suite.execute(
                    f"UPDATE {STATE_TABLES[source.name]} SET updated_at = %s WHERE yandex_uid = %s", moment, uid
                )
        if len(passes) == 3:
            raise asyncio.CancelledError

    async with copying(source, destination) as job:
        with pytest.raises(asyncio.CancelledError):
            await job.follow(nothing, pause)
    assert set(await states(destination)) == {"late"}
    assert passes == [None, None, None]


async def test_a_pass_that_is_broken_off_is_made_again(direction: tuple[BackEnd, BackEnd]) -> None:
    source, destination = direction
    await source.take(copy_of("before", 1))
    failures: list[BackEndUnavailable | None] = []

    async with (
        copying(source, destination) as job,
        await psycopg.AsyncConnection.connect(source.suite.database_url) as lock,
    ):

        async def pause(failure: BackEndUnavailable | None) -> None:
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


# --- the command


async def command(both: SuiteInProcess, source: str, destination: str, *more: str) -> asyncio.subprocess.Process:
    addresses = [word for name in ("protocol", "user-state") for word in ("--address", f"{name}={both.address}")]
    keys = ["--keys-dir", str(both.settings.keys_dir)]
    return await asyncio.create_subprocess_exec(
        str(RIDEHAIL),
        *("personalstate", "copy", "--from", source, "--to", destination, *addresses, *keys, *more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


async def finished(process: asyncio.subprocess.Process) -> str:
    printed, complaint = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, complaint.decode()
    return printed.decode()


async def stored(back_end: BackEnd) -> int:
    ((count,),) = await back_end.suite.rows(f"SELECT count(*) FROM {STATE_TABLES[back_end.name]}")
    return int(str(count))


@pytest.mark.timeout(170)
async def test_killed_repeated_two_at_once_and_with_states_changing_it_copies_all_and_overwrites_nothing_newer(
    direction: tuple[BackEnd, BackEnd],
) -> None:
    source, destination = direction
    users = 3000
    for first in range(0, users, 500):
        await source.take(*(copy_of(f"user-{n}", 3, "copied", {"a": {"n": n}}) for n in range(first, first + 500)))
    ends = asyncio.Event()
    changed: dict[str, set[str]] = {source.name: set(), destination.name: set()}

    async def keep_changing(back_end: BackEnd, first: int) -> None:
        """Sets states to a revision that no copy reaches, before, while and after they are copied."""
        for number in range(first, users, 37):
            if ends.is_set():
                return
            await back_end.take(copy_of(f"user-{number}", 10, back_end.name))
            await back_end.update("10", f"{back_end.name} now", uid=f"user-{number}")
            changed[back_end.name].add(f"user-{number}")
            await asyncio.sleep(0.01)

    changing = [asyncio.create_task(keep_changing(back_end, n)) for n, back_end in enumerate(direction)]
    killed, other = [await command(source.suite, source.name, destination.name) for _ in range(2)]
    await until(lambda: stored(destination), within=60)
    killed.send_signal(signal.SIGKILL)
    await killed.communicate()
    await finished(other)
    ends.set()
    await asyncio.gather(*changing)
    assert all(changed.values())

    told = await finished(await command(source.suite, source.name, destination.name))
    assert told.startswith(f"copy: listed={users} stored=")
    ours, theirs = await states(source), await states(destination)
    assert ours.keys() == theirs.keys()
    for uid, copy in theirs.items():
        if uid in changed[destination.name]:
            assert (copy.revision_id, copy.selected_category) == ("11", f"{destination.name} now")
        else:
            assert comparable({uid: copy}) == comparable({uid: ours[uid]})
    assert (await finished(await command(source.suite, source.name, destination.name, "--dry-run"))).startswith(
        f"copy, dry run: listed={users} due=0"
    )


@pytest.mark.timeout(120)
async def test_followed_in_both_directions_each_back_end_gets_what_the_other_is_told(both: SuiteInProcess) -> None:
    protocol, user_state = BackEnd(both, "protocol"), BackEnd(both, "user-state")
    running = [await command(both, *names, "--follow") for names in DIRECTIONS]

    async def has(back_end: BackEnd, selected: str) -> bool:
        return (await back_end.get("400")).selected_category == selected

    try:
        await protocol.update("0", "first", uid="400")
        await until(lambda: has(user_state, "first"), within=60)
        await user_state.update("1", "second", uid="400")
        await until(lambda: has(protocol, "second"), within=60)
        assert (await protocol.update("2", "third", uid="400")).revision_id == "3"
        await until(lambda: has(user_state, "third"), within=60)
    finally:
        for process in running:
            process.send_signal(signal.SIGINT)
        ended = [await asyncio.wait_for(process.communicate(), 30) for process in running]
    assert [process.returncode for process in running] == [130, 130], ended
    assert all(b"Traceback" not in errors for _printed, errors in ended)


async def test_a_back_end_that_is_away_ends_the_copying_with_one_line(both: SuiteInProcess) -> None:
    process = await asyncio.create_subprocess_exec(
        str(RIDEHAIL),
        *("personalstate", "copy", "--from", "protocol", "--to", "user-state"),
        *("--address", f"protocol={both.address}", "--address", "user-state=127.0.0.1:1"),
        *("--keys-dir", str(both.settings.keys_dir)),
        stderr=subprocess.PIPE,
    )
    await BackEnd(both, "protocol").update("0")
    _printed, complaint = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    (line,) = complaint.decode().splitlines()
    assert line.startswith("ridehail: user-state: UNAVAILABLE")
