"""`ridehail personalstate copy` as processes."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Mapping

import pytest

from tests.personal_state_backend.backends import STATE_TABLES, BackEnd, copy_of
from tests.personal_state_backend.copying import DIRECTIONS, Direction, check_copies_beside_changes
from tests.support.command_line import ridehail
from tests.support.suite_in_process import SuiteInProcess
from tests.support.up import RIDEHAIL
from tests.support.waiting import LIMIT_S, until


def words_of(suite: SuiteInProcess, source: str, destination: str) -> list[str]:
    addresses = [word for name in ("protocol", "user-state") for word in ("--address", f"{name}={suite.address}")]
    keys = ["--keys-dir", str(suite.settings.keys_dir)]
    return ["personalstate", "copy", "--from", source, "--to", destination, *addresses, *keys]


async def command(suite: SuiteInProcess, source: str, destination: str, *more: str) -> asyncio.subprocess.Process:
    words = [*words_of(suite, source, destination), *more]
    return await asyncio.create_subprocess_exec(str(RIDEHAIL), *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


async def finished(process: asyncio.subprocess.Process) -> str:
    printed, complaint = await asyncio.wait_for(process.communicate(), LIMIT_S)
    assert process.returncode == 0, complaint.decode()
    return printed.decode()


async def stored(back_end: BackEnd) -> int:
    ((count,),) = await back_end.suite.rows(f"SELECT count(*) FROM {STATE_TABLES[back_end.name]}")
    return int(str(count))


async def one_is_killed(source: BackEnd, destination: BackEnd) -> None:
    """Copies by two concurrent commands, one of which is killed."""
    killed, other = [await command(source.suite, source.name, destination.name) for _ in range(2)]
    await until(lambda: stored(destination))
    killed.send_signal(signal.SIGKILL)
    await killed.communicate()
    await finished(other)


@pytest.mark.long
async def test_killed_concurrent_commands_beside_updates_copy_all_and_overwrite_nothing_newer(
    direction: Direction,
) -> None:
    await check_copies_beside_changes(direction, 3000, one_is_killed)


async def test_the_command_prints_its_counts(back_ends: Mapping[str, BackEnd]) -> None:
    protocol, user_state = back_ends["protocol"], back_ends["user-state"]
    await protocol.take(copy_of("1", 1), copy_of("2", 1))
    await user_state.take(copy_of("2", 5))
    words = (protocol.suite, "protocol", "user-state")
    counted = await asyncio.to_thread(ridehail, *words_of(*words), "--dry-run")
    assert counted.stdout.startswith("copy, dry run: listed=2 due=1 in ")
    copied = await asyncio.to_thread(ridehail, *words_of(*words))
    assert copied.stdout.startswith("copy: listed=2 stored=1 in ")


async def test_followed_in_both_directions_each_back_end_gets_the_updates_of_the_other(
    back_ends: Mapping[str, BackEnd],
) -> None:
    protocol, user_state = back_ends["protocol"], back_ends["user-state"]
    running = [await command(protocol.suite, *names, "--follow") for names in DIRECTIONS]

    async def has(back_end: BackEnd, selected: str) -> bool:
        return (await back_end.get("400")).selected_category == selected

    try:
        await protocol.update("0", "first", uid="400")
        await until(lambda: has(user_state, "first"))
        await user_state.update("1", "second", uid="400")
        await until(lambda: has(protocol, "second"))
        assert (await protocol.update("2", "third", uid="400")).revision_id == "3"
        await until(lambda: has(user_state, "third"))
    finally:
        for process in running:
            process.send_signal(signal.SIGINT)
        ended = [await asyncio.wait_for(process.communicate(), LIMIT_S) for process in running]
    assert [process.returncode for process in running] == [130, 130], ended
    assert all(b"Traceback" not in errors for _printed, errors in ended)


async def test_an_unavailable_back_end_ends_the_command_with_one_line(back_ends: Mapping[str, BackEnd]) -> None:
    protocol = back_ends["protocol"]
    await protocol.update("0")
    addresses = ("--address", f"protocol={protocol.suite.address}", "--address", "user-state=127.0.0.1:1")
    keys = ("--keys-dir", str(protocol.suite.settings.keys_dir))
    words = ("personalstate", "copy", "--from", "protocol", "--to", "user-state", *addresses, *keys)
    ended = await asyncio.to_thread(ridehail, *words)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("ridehail: user-state: UNAVAILABLE")
