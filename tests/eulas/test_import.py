"""Which lines of a dump are imported, and what becomes of the others."""

from __future__ import annotations

import gzip
import json
import os
import random
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ridehail_servers.chassis.database import Database
from ridehail_servers.eulas.agreements import UserDecisions
from ridehail_servers.eulas.decision import Decision, Status
from ridehail_servers.eulas.import_file import FileUnusable, open_dump
from ridehail_servers.eulas.import_job import ImportCounts
from ridehail_servers.eulas.import_lines import MAX_CLOCK_SKEW, MAX_LINE_BYTES
from ridehail_servers.eulas.store import EulasStore
from tests.eulas.dumps import CHUNK, LAST_LOGGED, LOG, STATE, Importer, line, rejects_of, rows
from tests.eulas.harness import DAY, MICROSECOND, T0
from tests.support.databases import opened_as
from tests.support.read_counters import counted

SECOND = timedelta(seconds=1)
RULE = "must be 1 to 128 printable characters"
FORM = "must be a time with its zone as in 2026-11-21T05:18:48.123456Z"


@pytest.fixture
async def importer(database_url: str, tmp_path: Path) -> AsyncIterator[Importer]:
    async with opened_as(Database, database_url, "eulas") as database:
        yield Importer(database, tmp_path)


def stored(status: str = "accepted", revision: int = 1, updated_at: datetime = T0, **other: Any) -> tuple[object, ...]:
    """Returns the row that `line` makes."""
    valid_till = other.get("valid_till", T0 + DAY)
    return ("4000000001", other.get("eula_id", "surge_il"), status, revision, valid_till, updated_at)


async def test_a_decision_is_stored_and_logged_as_it_was_made(importer: Importer, database_url: str) -> None:
    assert await importer.run(line()) == ImportCounts(lines=1, imported=1)
    assert rows(database_url, STATE) == [stored()]
    assert rows(database_url, LOG) == [(*stored(), "import")]
    assert rows(database_url, "SELECT created_at FROM eulas.users") == [(T0,)]


async def test_the_service_reads_what_was_imported(importer: Importer) -> None:
    await importer.run(line(), line(eula_id="sdc", status="rejected"))
    found = await UserDecisions(importer.database, EulasStore()).of_user("4000000001")
    assert sorted(found, key=lambda one: one.eula_id) == [
        Decision("sdc", Status.REJECTED, 1, T0 + DAY, T0),
        Decision("surge_il", Status.ACCEPTED, 1, T0 + DAY, T0),
    ]


@pytest.mark.parametrize(
    ("fields", "row"),
    [
        ({"eula_id": "new"}, stored(eula_id="new", revision=7)),
        ({"eula_id": "gone"}, stored(eula_id="gone", revision=1)),
        ({"eula_id": "rules", "status": "rejected"}, stored("rejected", eula_id="rules")),
        ({"valid_till": T0 - DAY, "updated_at": T0 - 2 * DAY}, stored(updated_at=T0 - 2 * DAY, valid_till=T0 - DAY)),
        ({"updated_at": T0 + MAX_CLOCK_SKEW}, stored(updated_at=T0 + MAX_CLOCK_SKEW)),
        ({"valid_till": T0 + MICROSECOND}, stored(valid_till=T0 + MICROSECOND)),
        (
            {"valid_till": "9999-12-31T23:59:59.999999Z"},
            stored(valid_till=datetime.fromisoformat("9999-12-31T23:59:59.999999Z")),
        ),
        ({"valid_till": "2026-11-21T15:00:00.123456789+03:00"}, stored(valid_till=T0 + DAY)),
        ({"created_at": None, "_id": {"$oid": "5"}}, stored()),
        ({"eula_id": "ш" * 128}, stored(eula_id="ш" * 128)),
        ({"eula_id": "\\N\t".strip() + '"'}, stored(eula_id='\\N"')),
    ],
    ids=[
        "the configured revision",
        "not configured",
        "rejected and not rejectable",
        "expired",
        "a clock five minutes ahead",
        "just after",
        "the last timestamp",
        "another zone",
        "more keys",
        "longest id",
        "what COPY escapes",
    ],
)
async def test_past_decisions_are_imported_unchanged(
    importer: Importer, database_url: str, fields: dict[str, Any], row: tuple[object, ...]
) -> None:
    assert await importer.run(line(**fields)) == ImportCounts(lines=1, imported=1)
    assert rows(database_url, STATE) == [row]
    assert rejects_of(importer.path) == []


GOOD = json.dumps(line()).encode()


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"{", "Invalid JSON"),
        (GOOD[:-5], "Invalid JSON"),
        (GOOD + GOOD, "Invalid JSON"),
        (b"\xff" + GOOD, "Invalid JSON"),
        (GOOD.replace(b"surge", b"\xc3\x28"), "Invalid JSON"),
        (GOOD.replace(b"surge", b"\\ud800"), "Invalid JSON"),
        (b'{"deep": ' + b"[" * 60_000, "Invalid JSON: recursion limit exceeded"),
        (b"[]", "Input should be an object"),
        (b"null", "Input should be an object"),
        (
            b"{}",
            "yandex_uid: Field required; eula_id: Field required; status: Field required; updated_at: Field required;",
        ),
        (line(yandex_uid=...), "yandex_uid: Field required"),
        (line(yandex_uid=4000000001), "yandex_uid: Input should be a valid string"),
        (line(yandex_uid=None), "yandex_uid: Input should be a valid string"),
        (line(yandex_uid=""), f"yandex_uid: {RULE}"),
        (line(eula_id="x" * 129), f"eula_id: {RULE}"),
        (line(eula_id="a\x00b"), f"eula_id: {RULE}"),
        (line(eula_id="a\u200bb"), f"eula_id: {RULE}"),
        (line(status="unknown"), "status: Input should be 'accepted' or 'rejected'"),
        (line(status="Accepted"), "status: Input should be 'accepted' or 'rejected'"),
        (line(status=True), "status: Input should be 'accepted' or 'rejected'"),
        (line(updated_at=1795000000), f"updated_at: {FORM}"),
        (line(updated_at="2026-11-20"), f"updated_at: {FORM}"),
        (line(updated_at="2026-11-20T12:00:00"), f"updated_at: {FORM}"),
        (line(updated_at="٢٠٢٦-11-20T12:00:00Z"), f"updated_at: {FORM}"),
        (line(updated_at="2026-02-30T12:00:00Z"), "updated_at: Input should be a valid datetime"),
        (line(updated_at="2026-11-20T12:00:60Z"), "updated_at: Input should be a valid datetime"),
        (line(valid_till="9999-12-31T23:59:59-01:00"), "valid_till: must be within the years 1 to 9999 (UTC)"),
        (line(updated_at="0001-01-01T00:00:00+01:00"), "updated_at: must be within the years 1 to 9999 (UTC)"),
        (line(updated_at=T0 + MAX_CLOCK_SKEW + MICROSECOND), "updated_at: is in the future"),
        (line(valid_till=T0), "valid_till: must be after updated_at"),
        (line(valid_till=T0 - DAY), "valid_till: must be after updated_at"),
        (
            line(status="no", valid_till="never"),
            f"status: Input should be 'accepted' or 'rejected'; valid_till: {FORM}",
        ),
    ],
    ids=lambda value: None if isinstance(value, str) else repr(value)[:60],
)
async def test_a_bad_line_is_rejected_with_its_reason(
    importer: Importer, database_url: str, bad: dict[str, object] | bytes, reason: str
) -> None:
    done = await importer.run(line(yandex_uid="before"), bad, line(yandex_uid="after"))
    assert done == ImportCounts(lines=3, imported=2, rejected=1)
    assert [row[0] for row in rows(database_url, STATE)] == ["after", "before"]
    (reject,) = rejects_of(importer.path)
    assert str(reject["reason"]).startswith(reason)
    assert reject["line"] == 2
    assert reject["text"] == importer.path.read_bytes().split(b"\n")[1].decode(errors="replace")


async def test_a_line_that_is_too_long_is_rejected_and_the_next_lines_are_read(
    importer: Importer, database_url: str
) -> None:
    endless = json.dumps(line(note="x" * (3 * MAX_LINE_BYTES))).encode()
    longest = json.dumps(line(yandex_uid="longest")).encode()
    longest += b" " * (MAX_LINE_BYTES - len(longest) - 1)
    done = await importer.run(endless, longest, longest + b" ", line(yandex_uid="after"))
    assert done == ImportCounts(lines=4, imported=2, rejected=2)
    reason = f"longer than {MAX_LINE_BYTES} bytes"
    assert rejects_of(importer.path) == [{"line": 1, "reason": reason}, {"line": 3, "reason": reason}]
    assert [row[0] for row in rows(database_url, STATE)] == ["after", "longest"]


async def test_blank_lines_are_numbered_but_not_counted(importer: Importer) -> None:
    assert await importer.run(b"", b"  \r", line(), b"?", b"") == ImportCounts(lines=2, imported=1, rejected=1)
    assert [reject["line"] for reject in rejects_of(importer.path)] == [4]


async def test_only_the_owner_may_read_rejected_lines(importer: Importer) -> None:
    importer.rejects_path.touch(mode=0o644)
    await importer.run(b"?")
    assert stat.S_IMODE(importer.rejects_path.stat().st_mode) == 0o600
    assert {file.name for file in importer.folder.iterdir()} == {"dump.jsonl", "dump.jsonl.rejects.jsonl"}


async def test_an_import_without_rejects_removes_those_of_an_earlier_one(importer: Importer) -> None:
    await importer.run(b"?")
    await importer.run(line())
    assert not importer.rejects_path.exists()


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("between", [0, CHUNK], ids=["near", "in another transaction"])
async def test_of_one_users_lines_the_newest_is_in_force(
    importer: Importer, database_url: str, order: int, between: int
) -> None:
    older, newer = line(status="rejected"), line(updated_at=T0 + SECOND)
    first, last = (older, newer)[::order]
    await importer.run(first, *[b"{}"] * between, last)
    assert rows(database_url, STATE) == [stored(updated_at=T0 + SECOND)]
    assert rows(database_url, LAST_LOGGED) == rows(database_url, STATE)
    assert len(rows(database_url, LOG)) == (2 if between and order == 1 else 1)


@pytest.mark.parametrize("between", [0, CHUNK], ids=["near", "in another transaction"])
async def test_of_equally_new_lines_the_first_is_in_force(importer: Importer, database_url: str, between: int) -> None:
    done = await importer.run(line(status="rejected"), *[b"{}"] * between, line())
    assert (done.imported, done.skipped) == (1, 1)
    assert rows(database_url, STATE) == [stored("rejected")]


@pytest.mark.parametrize(
    ("live_at", "in_force"), [(T0 - SECOND, "accepted"), (T0, "rejected"), (T0 + SECOND, "rejected")]
)
async def test_a_newer_decision_is_not_overwritten(
    importer: Importer, database_url: str, live_at: datetime, in_force: str
) -> None:
    await save(importer.database, Decision("surge_il", Status.REJECTED, 3, T0 + DAY, live_at))
    done = await importer.run(line())
    assert (done.imported, done.skipped) == ((1, 0) if in_force == "accepted" else (0, 1))
    assert [row[2] for row in rows(database_url, STATE)] == [in_force]
    assert rows(database_url, LAST_LOGGED) == rows(database_url, STATE)


async def test_a_newer_decision_that_was_purged_is_not_overwritten(importer: Importer, database_url: str) -> None:
    await save(importer.database, Decision("surge_il", Status.REJECTED, 1, T0 + 2 * SECOND, T0 + SECOND))
    async with importer.database.connection() as connection:
        await connection.execute("DELETE FROM eulas.users")
    done = await importer.run(line(valid_till=T0 + 400 * DAY))
    assert (done.imported, done.skipped) == (0, 1)
    assert rows(database_url, STATE) == []


async def test_a_decision_saved_by_a_slow_clock_after_the_import_stays(importer: Importer, database_url: str) -> None:
    await importer.run(line(updated_at=T0 + SECOND))
    await save(importer.database, Decision("surge_il", Status.REJECTED, 1, T0 + DAY, T0))
    assert (await importer.rerun()).imported == 0
    assert [row[2] for row in rows(database_url, STATE)] == ["rejected"]


async def save(database: Database, decision: Decision) -> None:
    await UserDecisions(database, EulasStore()).save("4000000001", [decision], source="admin")


async def test_a_second_run_changes_nothing(importer: Importer, database_url: str) -> None:
    chance = random.Random(1)
    lines = [
        line(
            yandex_uid=str(chance.randrange(400)),
            status=chance.choice(["accepted", "rejected", "bad"]),
            updated_at=T0 - chance.randrange(50) * SECOND,
        )
        for _ in range(CHUNK * 2 + 10)
    ]
    first = await importer.run(*lines)
    before = rows(database_url, STATE), rows(database_url, LOG), importer.rejects_path.read_bytes()
    again = await importer.rerun()
    assert first.imported > 0 < first.rejected
    assert (again.lines, again.imported, again.rejected) == (first.lines, 0, first.rejected)
    assert (rows(database_url, STATE), rows(database_url, LOG), importer.rejects_path.read_bytes()) == before


async def scans(database_url: str) -> tuple[int, int]:
    """Returns how often tables of eulas were read whole, and how often the log was read by an index."""
    whole_tables, by_index = await counted(
        database_url,
        "SELECT sum(seq_scan)::int, (sum(idx_scan) FILTER (WHERE relname = 'decisions_log'))::int"
        " FROM pg_stat_user_tables WHERE schemaname = 'eulas'",
    )
    return whole_tables, by_index


async def test_an_import_reads_no_table_whole(database_url: str, tmp_path: Path) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            """
            INSERT INTO eulas.decisions_log (yandex_uid, eula_id, status, revision, valid_till, decided_at, source)
            SELECT 'user-' || n, 'surge_il', 'accepted', 1, now(), now(), 'admin' FROM generate_series(1, 50000) AS n
            """
        )
        connection.execute("ANALYZE eulas.decisions_log")
    whole_tables, by_index = await scans(database_url)
    lines = [line(yandex_uid=f"user-{number * 100}") for number in range(1000)]
    async with opened_as(Database, database_url, "eulas") as database:
        assert (await Importer(database, tmp_path).run(*lines, now=datetime.now(UTC))).lines == 1000
    whole_tables_after, by_index_after = await scans(database_url)
    assert whole_tables_after == whole_tables
    assert by_index_after - by_index >= 1000  # each line reads the log once


keys = st.tuples(st.sampled_from(["a", "b", "B", "ä"]), st.sampled_from(["x", "y", "Y"]))
moves = st.lists(
    st.tuples(keys, st.integers(0, 6), st.sampled_from(["accepted", "rejected"]), st.booleans()), max_size=25
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.lists(moves, min_size=1, max_size=3))
async def test_an_import_has_the_effect_of_its_lines_one_by_one(
    importer: Importer, database_url: str, files: list[list[Any]]
) -> None:
    async with importer.database.connection() as connection:
        await connection.execute("DELETE FROM eulas.users")
        # As the log refuses to be emptied, each example has its own users.
        row = await (
            await connection.execute("SELECT coalesce(max(decision_id), 0) FROM eulas.decisions_log")
        ).fetchone()
    assert row is not None
    example = f"{row[0]}-"
    model: dict[tuple[str, str], tuple[int, str]] = {}
    for moves in files:
        lines: list[dict[str, object] | bytes] = []
        for (uid, eula_id), second, status, is_bad in moves:
            text = "never" if is_bad else status
            lines.append(line(yandex_uid=example + uid, eula_id=eula_id, updated_at=T0 + second * SECOND, status=text))
            if not is_bad and second > model.get((example + uid, eula_id), (-1, ""))[0]:
                model[example + uid, eula_id] = (second, status)
        done = await importer.run(*lines)
        assert done.rejected == sum(move[3] for move in moves) == len(rejects_of(importer.path))
    found = {(row[0], row[1]): (int((row[5] - T0) / SECOND), row[2]) for row in rows(database_url, STATE)}
    assert found == model
    last = {(row[0], row[1]): (int((row[5] - T0) / SECOND), row[2]) for row in rows(database_url, LAST_LOGGED)}
    assert {key: value for key, value in last.items() if key in model} == model


async def test_a_compressed_file_is_decompressed(importer: Importer, database_url: str) -> None:
    packed = importer.folder / "dump.jsonl.gz"
    packed.write_bytes(gzip.compress(GOOD + b"\n" + GOOD.replace(b"surge_il", b"sdc")))
    with open_dump(packed) as dump:
        assert len(list(dump.lines())) == 2
        assert dump.position == dump.size


@pytest.mark.parametrize(
    "damage", [lambda packed: packed[:-9], lambda packed: b"{}" + packed, lambda packed: packed[:20] + b"\xff" * 9]
)
def test_a_truncated_or_corrupt_file_is_refused(tmp_path: Path, damage: Any) -> None:
    packed = tmp_path / "dump.gz"
    packed.write_bytes(damage(gzip.compress(os.urandom(1000).hex().encode())))
    with open_dump(packed) as dump, pytest.raises(FileUnusable, match="not a whole gzip file"):
        list(dump.lines())


def test_a_file_cannot_be_imported_twice_at_once(tmp_path: Path) -> None:
    path = tmp_path / "dump.jsonl"
    path.touch()
    with open_dump(path), pytest.raises(FileUnusable, match="already"), open_dump(path):
        pass
    with open_dump(path):
        pass
