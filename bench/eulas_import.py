"""The import of decisions at full size: how fast, how much memory, and that a rerun and kill -9 change nothing.

    python -m bench.eulas_import [--lines N]

Writes a dump in which every hundredth line is bad, imports it with `ridehail eulas import`, again, and then into
another database with kills (kill -9) in between. Each time it compares the stored rows with the newest line of each
user and agreement, and the log of decisions with that of the undisturbed import.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import psycopg
from psycopg import conninfo, sql

from ridehail_servers import resources
from ridehail_servers.chassis import migrations
from ridehail_servers.runtime.postgres import EmbeddedPostgres
from tests.support.folders import shared_folder

FULL_SIZE = 1_000_000
BAD_EVERY = 100
# Of eight decisions one is of a user who has decided on the agreement before.
USERS_PER_LINE = 0.75
EULA_IDS = ("surge_il", "child_seat_il", "sdc", "personal_data", "not_configured_any_more")
KILLS = 3
RIDEHAIL = Path(sys.executable).with_name("ridehail")

_EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
_BAD = (
    b'{"yandex_uid": "4000000001", "eula_id": "surge_il", "stat',
    b'{"yandex_uid": "4000000001", "eula_id": "surge_il", "status": "accepted"}',
    b'{"yandex_uid": 4, "eula_id": "", "status": "seen", "updated_at": "today", "valid_till": "2030-01-01T00:00:00Z"}',
)
_STATE = """
    SELECT yandex_uid, eula_id, status::text, (extract(epoch FROM updated_at - %s) * 1000000)::bigint FROM eulas.users
"""
# The log in its order; numbers that a killed import drew are missing and do not matter.
_LOG = """
    SELECT count(*), bit_xor(hashtextextended(concat_ws('|', place, yandex_uid, eula_id, status, decided_at), 0))
    FROM (SELECT *, row_number() OVER (ORDER BY decision_id) AS place FROM eulas.decisions) AS log
"""

Newest = dict[tuple[str, str], tuple[int, str]]


@dataclass(frozen=True)
class DecisionDump:
    """A dump, and what must come of it.

    Attributes:
        newest: Time in microseconds and status of the newest good line of each user and agreement.
        bad: Number of bad lines.
    """

    path: Path
    newest: Newest
    bad: int


def write_dump(path: Path, lines: int) -> DecisionDump:
    """Writes a dump; no two lines of a user and an agreement have the same time."""
    chance = random.Random(4)
    newest: Newest = {}
    users, bad = max(1, int(lines * USERS_PER_LINE)), 0
    with path.open("wb") as file:
        for number in range(lines):
            if number % BAD_EVERY == BAD_EVERY // 2:
                file.write(_BAD[bad % len(_BAD)] + b"\n")
                bad += 1
                continue
            # The line's number makes the timestamp unique.
            micros = chance.randrange(10**6) * 10**7 + number
            updated_at = _EPOCH + timedelta(microseconds=micros)
            uid, eula_id = (
                str(4_000_000_000 + chance.randrange(users)),
                chance.choice(EULA_IDS[:: chance.choice((1, 4))]),
            )
            status = chance.choice(("accepted", "accepted", "rejected"))
            decision = {
                "yandex_uid": uid,
                "eula_id": eula_id,
                "status": status,
                "updated_at": updated_at.isoformat(),
                "valid_till": (updated_at + timedelta(days=730)).isoformat(),
            }
            file.write(json.dumps(decision).encode() + b"\n")
            newest[uid, eula_id] = max(newest.get((uid, eula_id), (-1, "")), (micros, status))
    return DecisionDump(path, newest, bad)


@contextmanager
def database(admin_url: str, name: str) -> Iterator[str]:
    """Creates a database with the tables of eulas for the length of the block; yields its URL."""
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        url = conninfo.make_conninfo(admin_url, dbname=name)
        migrations.migrate(url, "eulas", resources.folder("migrations") / "eulas")
        yield url
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def start(dump: DecisionDump, url: str) -> subprocess.Popen[str]:
    words = [str(RIDEHAIL), "eulas", "import", str(dump.path), "--database-url", url]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def run(dump: DecisionDump, url: str) -> str:
    """Imports the dump, prints time and memory, and returns the command's output."""
    process = start(dump, url)
    watched, sizes = psutil.Process(process.pid), [0]
    while process.poll() is None:
        try:
            sizes.append(watched.memory_info().rss)
        except psutil.NoSuchProcess:
            break
        time.sleep(0.05)
    printed, _ = process.communicate()
    assert process.returncode == 0
    # The second half of its life against the first: flat memory does not grow.
    early, late = max(sizes[: len(sizes) // 2]), max(sizes)
    print(
        f"    {printed.strip()}\n      peak memory {late / 2**20:.0f} MiB, of the first half {early / 2**20:.0f} MiB",
        flush=True,
    )
    return printed


def check(dump: DecisionDump, url: str) -> tuple[object, ...]:
    """Compares what is stored with the dump; returns a digest of the log."""
    with psycopg.connect(url) as connection, connection.cursor("stored") as cursor:
        cursor.itersize = 10_000
        rows = 0
        for uid, eula_id, status, micros in cursor.execute(_STATE.encode(), (_EPOCH,)):
            assert dump.newest[uid, eula_id] == (micros, status)
            rows += 1
    assert rows == len(dump.newest), f"{len(dump.newest) - rows} decisions are missing"
    rejects = dump.path.with_name(f"{dump.path.name}.rejects.jsonl")
    with rejects.open("rb") as file:
        found = [json.loads(line)["line"] for line in file]
    assert found == list(range(BAD_EVERY // 2 + 1, BAD_EVERY * dump.bad + 1, BAD_EVERY))
    with psycopg.connect(url) as connection:
        digest = connection.execute(_LOG.encode()).fetchone()
    assert digest is not None
    print(f"    {rows:,} decisions, each the newest; {digest[0]:,} in the log; {len(found):,} rejects", flush=True)
    return tuple(digest)


def kill(dump: DecisionDump, url: str, decisions: int) -> None:
    """Kills an import as soon as `decisions` are in the log."""
    process = start(dump, url)
    with psycopg.connect(url, autocommit=True) as connection:
        while True:
            row = connection.execute("SELECT coalesce(max(decision_id), 0) FROM eulas.decisions_log").fetchone()
            assert row is not None
            assert process.poll() is None, "the import ended before it was killed"
            if row[0] >= decisions:
                break
            time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    print(f"    killed when {row[0]:,} decisions were logged", flush=True)


def measure(dump: DecisionDump, admin_url: str) -> None:
    with database(admin_url, "alone") as url:
        print("import", flush=True)
        run(dump, url)
        log = check(dump, url)
        print("the same file again", flush=True)
        assert " imported=0 " in run(dump, url)
        assert check(dump, url) == log, "a rerun changed the log"
    with database(admin_url, "killed") as url:
        print("killed in the middle, then run to the end", flush=True)
        for number in range(KILLS):
            kill(dump, url, len(dump.newest) * (number + 1) // (KILLS + 1))
        run(dump, url)
        assert check(dump, url) == log, "kills changed the log"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=FULL_SIZE, help="at least 50 000")
    lines = parser.parse_args().lines
    with shared_folder() as folder:
        print(f"writing {lines:,} lines", flush=True)
        dump = write_dump(folder / "dump.jsonl", lines)
        print(f"    {dump.path.stat().st_size / 2**20:.0f} MiB, {dump.bad:,} of them bad")
        postgres = EmbeddedPostgres(folder / "postgres")
        admin_url = postgres.start()
        try:
            measure(dump, admin_url)
        finally:
            postgres.stop()


if __name__ == "__main__":
    main()
