"""`ridehail eulas import` as a process: what it prints, kill -9 at any time, saves beside it, its memory."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil
import psycopg
import pytest

from ridehail_servers.chassis.database import Database
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
LIVE = 9
"""The revision of answers that are saved meanwhile."""
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
        (["purge", "--expired-for", "0d"], "--expired-for takes hours or days"),
        (["purge", "--expired-for", "-1d"], "--expired-for takes hours or days"),
        (["purge", "--expired-for", "90"], "--expired-for takes hours or days"),
    ],
)
def test_what_cannot_be_done_is_told(tmp_path: Path, words: list[str], says: str) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RIDEHAIL_")}
    command = [str(RIDEHAIL), "eulas", *words]
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert says in ended.stderr


def test_a_call_without_a_file_is_told() -> None:
    command = [str(RIDEHAIL), "eulas", "import"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "Missing argument" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_interrupted_import_says_so_and_leaves_no_file(database_url: str, tmp_path: Path) -> None:
    path = dump(tmp_path / "dump.jsonl", 20 * CHUNK, users=10**6)
    process = started(path, database_url)
    eventually(lambda: logged(database_url) > 0, within=WITHIN_S)
    process.send_signal(signal.SIGINT)
    printed, complaint = process.communicate(timeout=WITHIN_S)
    assert (process.returncode, printed) == (130, "")
    assert "Traceback" not in complaint
    assert list(tmp_path.iterdir()) == [path]


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


def logged(database_url: str) -> int:
    return int(rows(database_url, "SELECT count(*) FROM eulas.decisions_log")[0][0])


def kill_after(process: subprocess.Popen[str], database_url: str, decisions: int, pause: float) -> bool:
    """Kills an import so long after so many decisions are in the log; returns whether it was still alive."""
    eventually(lambda: process.poll() is not None or logged(database_url) > decisions, within=WITHIN_S)
    time.sleep(pause)
    was_alive = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return was_alive


def test_killed_at_any_time_and_run_again_it_ends_the_same(database_url: str, tmp_path: Path) -> None:
    path = dump(tmp_path / "dump.jsonl", 8 * CHUNK, users=6000)
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    sizes, kills = set(), 0
    for _ in range(4):
        further = logged(database_url) + chance.randrange(CHUNK)
        kills += kill_after(started(path, database_url), database_url, further, chance.random() * 0.2)
        sizes.add(logged(database_url))
        assert rows(database_url, LAST_LOGGED) == rows(database_url, STATE)
    assert kills >= 2, seed
    assert len(sizes) >= 2, seed
    finish(started(path, database_url))
    ended = end_state(database_url, path)
    assert {file.name for file in tmp_path.iterdir()} == {"dump.jsonl", "dump.jsonl.rejects.jsonl"}
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE eulas.decisions_log DISABLE TRIGGER USER")
        connection.execute("TRUNCATE eulas.users, eulas.decisions_log")
    # Without a kill.
    finish(started(path, database_url))
    assert end_state(database_url, path) == ended, seed


async def save_while(database: Database, processes: Sequence[subprocess.Popen[str]], chance: random.Random) -> int:
    """Saves answers, some older than lines of the file, until all processes have ended; returns how many."""
    decisions, saves = UserDecisions(database, EulasStore()), 0
    while any(process.poll() is None for process in processes):
        now = OLD + chance.randrange(10**9) * MICROSECOND
        chosen = chance.sample(EULA_IDS, chance.randint(1, len(EULA_IDS)))
        batch = [Decision(eula_id, Status.REJECTED, LIVE, now + 3650 * DAY, now) for eula_id in chosen]
        await decisions.save(f"user-{chance.randrange(100)}", batch, source="racer")
        saves += len(batch)
        await asyncio.sleep(0.005)
    return saves


async def test_beside_saves_and_another_import_no_newer_decision_is_overwritten(
    database_url: str, tmp_path: Path
) -> None:
    paths = [dump(tmp_path / f"{seed}.jsonl", 8 * CHUNK, users=1000, seed=seed) for seed in (1, 2)]
    processes = [started(path, database_url) for path in paths]
    async with opened(database_url) as database:
        saves = await asyncio.gather(*(save_while(database, processes, random.Random(seed)) for seed in range(4)))
    for process in processes:
        finish(process)
    assert rows(database_url, LAST_LOGGED) == rows(database_url, STATE)
    in_force: dict[tuple[str, str], datetime] = {}
    imported_over_saved, saved_over_imported = 0, 0
    sources: dict[tuple[str, str], str] = {}
    for uid, eula_id, _status, _revision, _valid_till, decided_at, source in rows(database_url, LOG):
        key = uid, eula_id
        if source == "import":
            assert key not in in_force or decided_at > in_force[key]
            imported_over_saved += sources.get(key) == "racer"
        else:
            saved_over_imported += sources.get(key) == "import"
        in_force[key], sources[key] = decided_at, source
    assert min(imported_over_saved, saved_over_imported) > 0
    assert (
        list(sources.values()).count("racer")
        <= sum(saves)
        == sum(row[-1] == "racer" for row in rows(database_url, LOG))
    )


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
