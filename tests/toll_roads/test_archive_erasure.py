"""Orders of erased users leave the archive for good: no file that is left holds one."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from deltalake import DeltaTable

from ridehail_servers.chassis.clock import system_clock
from ridehail_servers.chassis.database import Database
from ridehail_servers.toll_roads.retention.archive import ArchiveFailed, open_archive_table
from ridehail_servers.toll_roads.retention.archive_store import ArchiveStore, archive_lock
from ridehail_servers.toll_roads.retention.delta_archive import DeltaArchiveTable
from ridehail_servers.toll_roads.retention.erasure_job import ErasureJob
from ridehail_servers.toll_roads.retention.erasure_store import ErasureStore
from ridehail_servers.toll_roads.retention.rows import ArchivedChange, ArchivedOrder, ArchivedTable
from tests.support.databases import opened_as
from tests.support.retention import NOW

ERASED = ("it's-erased-1", "erased-2")
DAYS = [NOW - timedelta(days=number) for number in range(3)]


def filled(folder: Path) -> DeltaArchiveTable:
    """Writes three days, of which the last one has nothing but an order to erase."""
    table = DeltaArchiveTable(folder.as_uri(), ArchivedTable.LOG)
    table.write(1, [ArchivedChange(name, DAYS[0], has_toll_road=True) for name in (*ERASED, "kept-1", "kept-2")])
    table.write(2, [ArchivedChange("kept-3", DAYS[1], has_toll_road=False)])
    table.write(3, [ArchivedChange(ERASED[0], DAYS[2], has_toll_road=False)])
    return table


def rows_in(folder: Path) -> list[str]:
    return sorted(DeltaTable(folder / "log_has_toll_road").scan(columns=["order_id"]).read_all().column(0).to_pylist())


def files_with(folder: Path, text: str) -> list[str]:
    return [file.name for file in folder.rglob("*.parquet") if text.encode() in file.read_bytes()]


def test_erased_orders_are_in_no_file_and_others_stay(tmp_path: Path) -> None:
    table = filled(tmp_path)
    assert files_with(tmp_path, ERASED[0])
    table.erase({*ERASED, "never-archived"})

    assert rows_in(tmp_path) == ["kept-1", "kept-2", "kept-3"]
    assert [files_with(tmp_path, one) for one in ERASED] == [[], []]
    assert table.rows_of(ERASED[0]) == []
    assert table.rows_of("kept-1") == [ArchivedChange("kept-1", DAYS[0], has_toll_road=True)]
    # Commits say by which days, and not by which orders.
    commits = [file.read_text() for file in sorted(tmp_path.rglob("*.json"))]
    conditions = [line for commit in commits for line in commit.splitlines() if "predicate" in line]
    assert len(conditions) == 2
    assert not any(one in line for one in ERASED for line in conditions)


def test_a_writer_goes_on_after_an_erasure_and_a_repeat_changes_nothing(tmp_path: Path) -> None:
    table = filled(tmp_path)
    table.erase(ERASED)
    files = sorted(tmp_path.rglob("*.parquet"))
    DeltaArchiveTable(tmp_path.as_uri(), ArchivedTable.LOG).erase(ERASED)

    assert sorted(tmp_path.rglob("*.parquet")) == files
    assert table.last_batch() == 3
    table.write(4, [ArchivedChange("kept-4", DAYS[0], has_toll_road=True)])
    assert rows_in(tmp_path) == ["kept-1", "kept-2", "kept-3", "kept-4"]


def test_an_archive_that_is_not_there_has_nothing_to_erase(tmp_path: Path) -> None:
    DeltaArchiveTable(tmp_path.as_uri(), ArchivedTable.LOG).erase(ERASED)
    assert not list(tmp_path.iterdir())


def test_a_run_that_died_before_it_removed_files_is_ended_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_named: object) -> None:
        raise OSError("died")

    table = filled(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(DeltaTable, "vacuum", fail)
        with pytest.raises(ArchiveFailed):
            table.erase(ERASED)
    assert files_with(tmp_path, ERASED[0])
    DeltaArchiveTable(tmp_path.as_uri(), ArchivedTable.LOG).erase(ERASED)
    assert files_with(tmp_path, ERASED[0]) == []


async def test_the_job_erases_what_is_due_and_forgets_the_ids(database_url: str, tmp_path: Path) -> None:
    log = filled(tmp_path)
    orders = open_archive_table(tmp_path.as_uri(), ArchivedTable.ORDERS)
    orders.write(1, [ArchivedOrder(name, DAYS[0], None, can_switch_road=True) for name in (*ERASED, "kept-1")])
    with psycopg.connect(database_url, autocommit=True) as connection:
        for name in ERASED:
            connection.execute(
                "INSERT INTO toll_roads.archive_erasures VALUES (sha256(convert_to(%s, 'UTF8')), %s, now())",
                (name, name),
            )
        async with opened_as(Database, database_url, "toll_roads") as database:
            job = ErasureJob(database, ErasureStore(), tmp_path.as_uri(), system_clock)
            async with archive_lock(database, ArchiveStore()) as is_ours:
                assert is_ours
                assert not await job.run()
            assert rows_in(tmp_path).count(ERASED[0]) == 2
            assert await job.run()
            assert log.rows_of(ERASED[0]) == orders.rows_of(ERASED[1]) == []
            assert orders.rows_of("kept-1")
            done = "SELECT count(*), count(order_id) FROM toll_roads.archive_erasures"
            assert connection.execute(done).fetchone() == (2, 0)

            connection.execute("UPDATE toll_roads.archive_erasures SET requested_at = now() - interval '8 days'")
            assert await job.run()
            assert connection.execute(done).fetchone() == (0, 0)
