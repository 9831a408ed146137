"""`ridehail eulas import` as a process: what it prints, kill -9 at any time, saves beside it, its memory."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import psycopg
import pytest

from ridehail_servers.eulas.decision import Decision, Status
from ridehail_servers.eulas.importing import CHUNK
from ridehail_servers.eulas.store import EulasStore
from ridehail_servers.eulas.user_decisions import UserDecisions
from tests.eulas.dumps import LAST_LOGGED, LOG, STATE, line, opened, rejects_of, rows, started, write
from tests.eulas.world import DAY, MICROSECOND
from tests.support.databases import empty_database
from tests.support.up import RIDEHAIL
from tests.support.waiting import eventually

OLD = datetime(2026, 1, 1, tzinfo=UTC)
EULA_IDS = ["surge_il", "sdc", "gone"]
WITHIN_S = 60


def dump(path: Path, lines: int, *, users: int, seed: int = 1) -> Path:
    """Writes a dump in which users change their minds, and one line of a hundred is bad."""
    chance = random.Random(seed)
    write(
        path,
        (
            line(
                yandex_uid=f"user-{chance.randrange(users)}",
                eula_id=chance.choice(EULA_IDS),
                status="unheard of" if chance.random() < 0.01 else chance.choice(["accepted", "rejected"]),
                updated_at=OLD + chance.randrange(10**9) * MICROSECOND,
                valid_till=OLD + 3650 * DAY,
            )
            for _ in range(lines)
        ),
    )
    return path


def finish(process: subprocess.Popen[str]) -> str:
    printed, complaint = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 0, complaint
    return printed


def end_state(database_url: str, path: Path) -> tuple[object, ...]:
    return rows(database_url, STATE), rows(database_url, LOG), rejects_of(path)


def test_it_prints_what_became_of_the_lines(database_url: str, tmp_path: Path) -> None:
    path = tmp_path / "dump.jsonl"
    write(path, [line(), line(), b"secret", line(yandex_uid="", status="secret")])
    process = started(path, database_url)
    printed, complaint = process.communicate(timeout=WITHIN_S)
    assert re.fullmatch(r"import: lines=4 imported=1 passed_over=1 rejected=2 in \d+\.\d s, \d+ lines/s\n", printed)
    assert complaint == f"import: the rejected lines are in {path}.rejects.jsonl\n"
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "No such file or directory"),
        (Path.mkdir, "Is a directory"),
        (os.mkfifo, None),
    ],
    ids=["missing", "a folder", "a pipe"],
)
def test_a_file_that_cannot_be_read_is_told_in_one_line(
    database_url: str, tmp_path: Path, make: object, says: str | None
) -> None:
    path = tmp_path / "dump.jsonl"
    assert callable(make)
    make(path)
    if says is None:
        holder = os.open(path, os.O_RDWR)  # opening a pipe waits for somebody to write
    process = started(path, database_url)
    printed, complaint = process.communicate(timeout=WITHIN_S)
    if says is None:
        os.close(holder)
    assert (process.returncode, printed, complaint.count("\n")) == (1, "", 1)
    assert (says or "is not a file") in complaint


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["import", "nothing.jsonl", "--data-dir", "nowhere"], "give --database-url"),
        (["purge", "--data-dir", "nowhere"], "give --database-url"),
        (["purge", "--expired-for", "soon"], "--expired-for takes hours or days"),
        (["purge", "--expired-for", "0d"], "--expired-for takes hours or days"),
        (["purge", "--expired-for", "-1d"], "--expired-for takes hours or days"),
        (["purge", "--expired-for", "90"], "--expired-for takes hours or days"),
        (["purge", "--database-url", "postgresql://127.0.0.1:1/none"], "the database is unavailable"),
        (["import"], "Missing argument"),
    ],
)
def test_what_cannot_be_done_is_told(tmp_path: Path, words: list[str], says: str) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RIDEHAIL_")}
    command = [str(RIDEHAIL), "eulas", *words]
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert ended.returncode in {1, 2}
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_database_without_tables_is_told_and_leaves_no_file(postgres_url: str, tmp_path: Path) -> None:
    path = tmp_path / "dump.jsonl"
    write(path, [line(yandex_uid="secret"), b"secret"])
    with empty_database(postgres_url) as url:
        process = started(path, url)
        _, complaint = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 1
    assert "does not exist" in complaint
    assert "secret" not in complaint
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_time_and_run_again_it_ends_the_same(
    database_url: str, postgres_url: str, tmp_path: Path, seed: int
) -> None:
    path = dump(tmp_path / "dump.jsonl", 8 * CHUNK, users=6000, seed=seed)
    chance = random.Random(seed)
    seen, killed = set(), 0
    for _ in range(6):
        before = rows(database_url, "SELECT count(*) FROM eulas.decisions_log")
        process = started(path, database_url)
        target = before[0][0] + chance.randrange(0, 2 * CHUNK)
        # Killed at a random moment after some more of the file was stored, or when it has ended.
        eventually(
            lambda: (
                process.poll() is not None
                or rows(database_url, "SELECT count(*) FROM eulas.decisions_log")[0][0] > target
            ),
            within=WITHIN_S,
        )
        time.sleep(chance.random() * 0.2)
        killed += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
        seen.add(rows(database_url, "SELECT count(*) FROM eulas.decisions_log")[0][0])
        assert rows(database_url, LAST_LOGGED) == rows(database_url, STATE)
    assert killed >= 2
    assert len(seen) >= 2
    finish(started(path, database_url))
    ended = end_state(database_url, path)
    assert finish(started(path, database_url)).startswith(f"import: lines={8 * CHUNK} imported=0 ")
    assert end_state(database_url, path) == ended
    assert {file.name for file in tmp_path.iterdir()} == {"dump.jsonl", "dump.jsonl.rejects.jsonl"}
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE eulas.decisions_log DISABLE TRIGGER USER")
        connection.execute("TRUNCATE eulas.users, eulas.decisions_log")
    finish(started(path, database_url))
    assert end_state(database_url, path) == ended


async def test_saves_during_an_import_are_never_overwritten_by_older_lines(database_url: str, tmp_path: Path) -> None:
    path = dump(tmp_path / "dump.jsonl", 10 * CHUNK, users=300)
    other = dump(tmp_path / "other.jsonl", 10 * CHUNK, users=300, seed=2)
    chance = random.Random(3)
    saved: dict[tuple[str, str], datetime] = {}
    slowest = 0.0
    processes = [started(path, database_url), started(other, database_url)]
    async with opened(database_url) as database:
        decisions = UserDecisions(database, EulasStore())

        async def save(saver: int) -> None:
            nonlocal slowest
            while any(process.poll() is None for process in processes):
                # Each saver has its own users. Some answers are older than lines of the file, most are newer.
                uid = f"user-{chance.randrange(75) * 4 + saver}"
                now = OLD + timedelta(microseconds=chance.randrange(10**9 * 3))
                batch = [
                    Decision(eula_id, Status.REJECTED, 9, now + 3650 * DAY, now)
                    for eula_id in chance.sample(EULA_IDS, chance.randint(1, 3))
                ]
                began = time.monotonic()
                await decisions.save(uid, batch, source="racer")
                slowest = max(slowest, time.monotonic() - began)
                for decision in batch:
                    saved[uid, decision.eula_id] = now

        await asyncio.gather(*(save(saver) for saver in range(4)))
    for process in processes:
        finish(process)
    stored = {(row[0], row[1]): row for row in rows(database_url, STATE)}
    assert rows(database_url, LAST_LOGGED) == rows(database_url, STATE)
    assert len(saved) > 200
    for key, at in saved.items():
        assert stored[key][5] >= at
        assert stored[key][3] == 9 or stored[key][5] > at
    assert {row[3] for row in stored.values()} == {1, 2, 9}
    print(f"the slowest save took {slowest:.3f} s")


def peak_of(path: Path, database_url: str) -> int:
    """Imports a file; returns the most memory that it took, in bytes."""
    process = started(path, database_url)
    watched, peak = psutil.Process(process.pid), 0
    while process.poll() is None:
        try:
            peak = max(peak, watched.memory_info().rss)
        except psutil.NoSuchProcess:
            break
        time.sleep(0.01)
    finish(process)
    return peak


def test_its_memory_does_not_grow_with_the_file(database_url: str, tmp_path: Path) -> None:
    small = peak_of(dump(tmp_path / "small.jsonl", 4 * CHUNK, users=10**6), database_url)
    large = peak_of(dump(tmp_path / "large.jsonl", 40 * CHUNK, users=10**6, seed=2), database_url)
    assert large < small + 12 * 2**20
