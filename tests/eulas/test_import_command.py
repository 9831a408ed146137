"""`ridehail eulas import`: what it prints, a crash at any step, saves beside it, its memory."""

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
from ridehail_servers.eulas import import_job
from ridehail_servers.eulas.agreements import UserDecisions
from ridehail_servers.eulas.decision import Decision, Status
from ridehail_servers.eulas.import_job import ImportCounts
from ridehail_servers.eulas.store import EulasStore
from tests.eulas.crashing import run_import
from tests.eulas.dumps import CHUNK, LAST_LOGGED, LOG, STATE, Importer, line, rejects_of, rows, started, write
from tests.eulas.harness import DAY, MICROSECOND
from tests.support import processes
from tests.support.command_line import ridehail
from tests.support.crash_injector import died, first_and_last
from tests.support.databases import empty_database, opened_as
from tests.support.locks import locked_table
from tests.support.waiting import LIMIT_S, eventually, until

pytestmark = pytest.mark.integration

OLD = datetime(2026, 1, 1, tzinfo=UTC)
EULA_IDS = ["surge_il", "sdc", "gone"]
LIVE = 9
"""The revision of decisions that are saved meanwhile."""


def dump(path: Path, lines: int, *, users: int, seed: int = 1) -> Path:
    """Writes a dump in which users change their minds, and one line of a hundred is bad."""
    chance = random.Random(seed)
    write(
        path,
        (
            line(
                yandex_uid=f"user-{chance.randrange(users)}",
                eula_id=chance.choice(EULA_IDS),
                status="unheard of" if number % 100 == 50 else chance.choice(["accepted", "rejected"]),
                updated_at=OLD + chance.randrange(10**9) * MICROSECOND,
                valid_till=OLD + 3650 * DAY,
            )
            for number in range(lines)
        ),
    )
    return path


def imported(path: Path, database_url: str) -> subprocess.CompletedProcess[str]:
    return ridehail("eulas", "import", str(path), "--database-url", database_url)


def end_state(database_url: str, path: Path) -> tuple[object, ...]:
    return rows(database_url, STATE), rows(database_url, LOG), rejects_of(path)


def forget_everything(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")  # the log refuses every deletion
        connection.execute("TRUNCATE eulas.users, eulas.decisions_log RESTART IDENTITY")


def test_it_prints_the_counts_of_lines(database_url: str, tmp_path: Path) -> None:
    path = tmp_path / "dump.jsonl"
    write(path, [line(), line(), b"secret", line(yandex_uid="", status="secret")])
    ended = imported(path, database_url)
    assert re.fullmatch(
        r"import: lines=4 imported=1 passed_over=1 rejected=2 in \d+\.\d s, \d+ lines/s\n", ended.stdout
    )
    assert ended.stderr == f"import: the rejected lines are in {path}.rejects.jsonl\n"
    assert ended.returncode == 0


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "No such file or directory"),
        (Path.mkdir, "Is a directory"),
        (os.mkfifo, None),
    ],
    ids=["missing", "a folder", "a pipe"],
)
def test_an_unreadable_file_is_reported_in_one_line(
    database_url: str, tmp_path: Path, make: object, says: str | None
) -> None:
    path = tmp_path / "dump.jsonl"
    assert callable(make)
    make(path)
    if says is None:
        holder = os.open(path, os.O_RDWR)  # opening a pipe waits for a writer
    ended = imported(path, database_url)
    if says is None:
        os.close(holder)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert (says or "is not a file") in ended.stderr


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
def test_an_impossible_option_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = ridehail("eulas", *words)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert says in ended.stderr


def test_a_missing_file_argument_is_reported() -> None:
    ended = ridehail("eulas", "import")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "Missing argument" in ended.stderr


async def test_an_interrupted_import_says_so_and_leaves_no_file(database_url: str, tmp_path: Path) -> None:
    path = tmp_path / "dump.jsonl"
    write(path, [line(), b"?"])
    async with locked_table(database_url, "eulas.decisions_log") as lock:
        process = started(path, database_url)
        await until(lock.waiting)
        process.send_signal(signal.SIGINT)
        printed, complaint = await asyncio.to_thread(process.communicate, timeout=LIMIT_S)
    assert (process.returncode, printed) == (130, "")
    assert "Traceback" not in complaint
    assert list(tmp_path.iterdir()) == [path]


def test_a_database_without_tables_is_reported_and_leaves_no_file(postgres_url: str, tmp_path: Path) -> None:
    path = tmp_path / "dump.jsonl"
    write(path, [line(yandex_uid="secret"), b"secret"])
    with empty_database(postgres_url) as url:
        ended = imported(path, url)
    assert ended.returncode == 1
    assert "does not exist" in ended.stderr
    assert "secret" not in ended.stderr
    assert list(tmp_path.iterdir()) == [path]


# --- killed


@pytest.mark.parametrize("every_step", [False, pytest.param(True, marks=pytest.mark.long)])
async def test_killed_after_a_step_and_run_again_it_ends_the_same(
    database_url: str, tmp_path: Path, every_step: bool
) -> None:
    """Of each kind of step the first and the last, or every single one."""
    path = dump(tmp_path / "dump.jsonl", 8 * CHUNK, users=30)
    names = (await run_import(path, database_url)).names
    undisturbed = end_state(database_url, path)
    assert len(set(names)) >= 3
    for step in range(1, len(names) + 1) if every_step else first_and_last(names):
        forget_everything(database_url)
        killed = processes.start(run_import, path, database_url, step)
        assert await asyncio.to_thread(died, killed, database_url)
        assert rows(database_url, LAST_LOGGED) == rows(database_url, STATE)
        await run_import(path, database_url)
        assert end_state(database_url, path) == undisturbed, f"killed after step {step}, {names[step - 1]}"
        assert {file.name for file in tmp_path.iterdir()} == {"dump.jsonl", "dump.jsonl.rejects.jsonl"}


def logged(database_url: str) -> int:
    return int(rows(database_url, "SELECT count(*) FROM eulas.decisions_log")[0][0])


@pytest.mark.long
def test_killed_at_any_time_and_run_again_it_ends_the_same(database_url: str, tmp_path: Path) -> None:
    """Also in the middle of a step, and as an operator would run it."""
    path = dump(tmp_path / "dump.jsonl", 8 * import_job.CHUNK, users=6000)
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    kills = 0
    while kills < 2:
        further = logged(database_url) + chance.randrange(import_job.CHUNK)
        process = started(path, database_url)
        eventually(lambda: process.poll() is not None or logged(database_url) > further)  # noqa: B023
        time.sleep(chance.random() * 0.2)
        kills += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert rows(database_url, LAST_LOGGED) == rows(database_url, STATE)
        if process.returncode == 0:
            break
    assert imported(path, database_url).returncode == 0
    ended = end_state(database_url, path)
    forget_everything(database_url)
    assert imported(path, database_url).returncode == 0
    assert end_state(database_url, path) == ended, seed


# --- beside saves


async def save_while(database: Database, imports: Sequence[asyncio.Task[ImportCounts]], chance: random.Random) -> int:
    """Saves decisions, some older than lines of the file, until all imports have ended; returns how many."""
    decisions, saves = UserDecisions(database, EulasStore()), 0
    while not all(one.done() for one in imports):
        now = OLD + chance.randrange(10**9) * MICROSECOND
        chosen = chance.sample(EULA_IDS, chance.randint(1, len(EULA_IDS)))
        batch = [Decision(eula_id, Status.REJECTED, LIVE, now + 3650 * DAY, now) for eula_id in chosen]
        await decisions.save(f"user-{chance.randrange(100)}", batch, source="racer")
        saves += len(batch)
    return saves


async def test_concurrent_saves_and_imports_overwrite_no_newer_decision(database_url: str, tmp_path: Path) -> None:
    for seed in (1, 2):
        dump(tmp_path / f"{seed}.jsonl", 100 * CHUNK, users=100, seed=seed)
    async with opened_as(Database, database_url, "eulas") as database:
        imports = [
            asyncio.create_task(Importer(database, tmp_path, f"{seed}.jsonl").rerun(now=datetime.now(UTC)))
            for seed in (1, 2)
        ]
        saves = await asyncio.gather(*(save_while(database, imports, random.Random(seed)) for seed in range(4)))
        await asyncio.gather(*imports)
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


# --- memory


def peak_of(path: Path, database_url: str) -> int:
    """Imports a file; returns the most memory that the command took, in bytes."""
    process = started(path, database_url)
    watched, peak = psutil.Process(process.pid), 0
    while process.poll() is None:
        try:
            peak = max(peak, watched.memory_info().rss)
        except psutil.NoSuchProcess:
            break
        time.sleep(0.01)
    _printed, complaint = process.communicate()
    assert process.returncode == 0, complaint
    return peak


def test_its_memory_does_not_grow_with_the_file(database_url: str, tmp_path: Path) -> None:
    small = peak_of(dump(tmp_path / "small.jsonl", 2 * import_job.CHUNK, users=10**6), database_url)
    large = peak_of(dump(tmp_path / "large.jsonl", 14 * import_job.CHUNK, users=10**6, seed=2), database_url)
    # Were the lines kept, or what they say, it would be all of the file and more. The heap alone varies by 2 MB.
    assert large < small + (tmp_path / "large.jsonl").stat().st_size / 2
