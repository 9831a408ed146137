"""A Delta Lake table of the archive: each batch is in it once, for good, however many writers there are."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError

from ridehail_servers.chassis.folder_url import folder_url
from ridehail_servers.toll_roads.retention.archive import ArchiveAhead
from ridehail_servers.toll_roads.retention.delta_archive import DeltaArchiveTable
from ridehail_servers.toll_roads.retention.rows import ArchivedChange, ArchivedOrder, ArchivedTable
from tests.support.retention import EDGE_TIMESTAMPS, NOW, ago

# What the archive writes with.
WRITE = "ridehail_servers.toll_roads.retention.delta_archive.write_deltalake"


def table_in(folder: Path, name: ArchivedTable = ArchivedTable.LOG) -> DeltaArchiveTable:
    return DeltaArchiveTable(folder.as_uri(), name)


def changes(*order_ids: str, created: datetime = NOW) -> list[ArchivedChange]:
    return [ArchivedChange(order_id, created, has_toll_road=True) for order_id in order_ids]


def count(folder: Path, name: str = "log_has_toll_road") -> int:
    return len(DeltaTable(folder / name).scan(columns=["order_id"]).read_all())


@pytest.mark.parametrize("created", EDGE_TIMESTAMPS)
def test_a_timestamp_keeps_its_microseconds_and_decides_the_partition(tmp_path: Path, created: datetime) -> None:
    table = table_in(tmp_path)
    table.write(1, changes("order", created=created))
    assert table.rows_of("order") == changes("order", created=created)
    assert DeltaTable(table.url).partitions() == [{"day": created.date().isoformat()}]


def test_a_batch_is_on_the_disk_before_it_counts_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table_in(tmp_path).write(1, changes("first"))
    known = set(tmp_path.rglob("*"))
    synced = set[Path]()
    real = os.fsync

    def noted(descriptor: int) -> None:
        synced.add(Path(f"/proc/self/fd/{descriptor}").readlink())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    table_in(tmp_path).write(2, changes("second", created=NOW) + changes("second", created=ago(24)))
    new = {path for path in tmp_path.rglob("*") if path not in known}
    assert {path.suffix for path in new} == {"", ".json", ".parquet"}
    assert new <= synced
    assert tmp_path / "log_has_toll_road" / "_delta_log" in synced

    everything: list[bool] = []
    monkeypatch.setattr(os, "sync", lambda: everything.append(True))
    table_in(tmp_path).write(2, changes("second"))
    assert everything


def test_a_batch_is_written_once_however_often_it_is_attempted(tmp_path: Path) -> None:
    for _ in range(3):
        table_in(tmp_path).write(5, changes("order"))
    table = table_in(tmp_path)
    table.write(5, changes("order"))
    table.write(6, changes("other"))
    assert table.last_batch() == 6
    assert count(tmp_path) == 2


def test_a_batch_that_the_archive_may_have_already_is_not_written(tmp_path: Path) -> None:
    table_in(tmp_path).write(7, changes("order"))
    with pytest.raises(ArchiveAhead):
        table_in(tmp_path).write(6, changes("other"))
    assert count(tmp_path) == 1


def test_a_writer_overtaken_by_a_later_batch_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has looked, and found its batch missing; before its commit, another one writes the same batch."""
    table_in(tmp_path).write(1, changes("first"))
    slow, refused = table_in(tmp_path), list[CommitFailedError]()
    real: Any = write_deltalake

    def overtaken(*arguments: object, **named: object) -> None:
        monkeypatch.setattr(WRITE, real)
        table_in(tmp_path).write(2, changes("second"))
        try:
            real(*arguments, **named)
        except CommitFailedError as error:
            refused.append(error)
            raise

    monkeypatch.setattr(WRITE, overtaken)
    slow.write(2, changes("second"))
    assert len(refused) == 1
    assert count(tmp_path) == 2


async def test_many_writers_of_one_batch_write_it_once(tmp_path: Path) -> None:
    for batch in range(1, 6):
        tables = [table_in(tmp_path) for _ in range(4)]
        rows = changes(*(f"{batch}-{n}" for n in range(3)))
        await asyncio.gather(*(asyncio.to_thread(table.write, batch, rows) for table in tables))
    assert count(tmp_path) == 15


def test_the_files_of_a_day_are_merged_and_stay_readable_for_a_day(tmp_path: Path) -> None:
    table = table_in(tmp_path)
    day, other_day = NOW, NOW - timedelta(days=1)
    for batch in range(1, 61):
        table.write(batch, changes(f"order-{batch}", created=day) + changes(f"order-{batch}", created=other_day))
        if batch == 20:
            reader = DeltaTable(table.url)
            files = reader.file_uris()
        if batch % 10 == 0:
            table.tidy()
            found = Counter(DeltaTable(table.url).get_add_actions(flatten=True).column("partition.day").to_pylist())
            assert set(found) == {day.date(), other_day.date()}
            assert max(found.values()) <= 16
    assert count(tmp_path) == 120
    assert table.last_batch() == 60
    # A reader of an earlier state still finds its files.
    assert all(Path(file).exists() for file in files)
    assert len(reader.scan(columns=["order_id"]).read_all()) == 40


def test_files_of_killed_writers_are_removed_after_a_day(tmp_path: Path) -> None:
    table = table_in(tmp_path)
    for batch in range(1, 20):
        table.write(batch, changes(f"order-{batch}"))
    day = tmp_path / "log_has_toll_road" / f"day={NOW.date().isoformat()}"
    old, young = day / "part-old.parquet", day / "part-young.parquet"
    for file in (old, young):
        file.write_bytes(b"half a file")
    two_days_ago = datetime.now().timestamp() - 2 * 86400  # noqa: DTZ005  # a file's time has no zone
    os.utime(old, (two_days_ago, two_days_ago))
    table.tidy()
    assert not old.exists()
    assert young.exists()
    assert count(tmp_path) == 19


def test_the_last_batch_is_known_after_the_commit_log_was_truncated(tmp_path: Path) -> None:
    table = table_in(tmp_path)
    for batch in range(1, 56):
        table.write(batch, changes(f"order-{batch}"))
    table.tidy()
    assert list((tmp_path / "log_has_toll_road/_delta_log").glob("*.checkpoint.parquet"))
    shortened = DeltaTable(table.url)
    shortened.create_checkpoint()
    for commit in sorted((tmp_path / "log_has_toll_road/_delta_log").glob("*.json"))[:-1]:
        commit.unlink()
    again = table_in(tmp_path)
    assert again.last_batch() == 55
    again.write(55, changes("order-55"))
    assert count(tmp_path) == 55


def test_a_folder_with_special_characters_is_the_same_for_every_reader(tmp_path: Path) -> None:
    folder = tmp_path / "with space, 100% ünïcode"
    table = DeltaArchiveTable(folder_url(str(folder)), ArchivedTable.ORDERS)
    row = ArchivedOrder("order", NOW, None, can_switch_road=False)
    table.write(1, [row])
    assert (folder / "orders" / "_delta_log").is_dir()
    assert table.rows_of("order") == [row]
    counted = duckdb.from_arrow(DeltaTable(table.url).scan()).aggregate("day, count(*)").fetchall()
    assert counted == [(NOW.date(), 1)]
    assert date.fromisoformat(DeltaTable(table.url).partitions()[0]["day"]) == NOW.date()
