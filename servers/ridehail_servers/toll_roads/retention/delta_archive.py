"""An archive of Delta Lake tables, one per archived table, partitioned by the day of `created_at` (UTC).

A batch is written in one commit that has the batch's number as its application transaction. Delta Lake itself does not
refuse a number twice, but it refuses a commit if another one of the same application came in between
(https://github.com/delta-io/delta/blob/master/PROTOCOL.md#transaction-identifiers). So a writer reads the last number,
and commits on top of exactly the state that it read. However many try, each batch is in the archive once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from ridehail_servers.chassis.extras import needs_extra

from .archive import ArchiveAhead, ArchiveFailed
from .durability import sync_all, sync_commit
from .rows import ROW_TYPES, ArchivedTable, Row

with needs_extra("archive"):
    from arro3.core import Array, DataType, RecordBatchReader, Table
    from deltalake import CommitProperties, DeltaTable, Field, Schema, Transaction, write_deltalake
    from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
    from deltalake.schema import PrimitiveType

_MAX_ATTEMPTS = 5
# More files than these in a day are merged into one.
_MAX_FILES_A_DAY = 16
# Readers may use files for this long after they were merged; also how long the files of a killed writer stay.
_OBSOLETE_FILES_KEPT_H = 24
_CONFIGURATION = {
    "delta.deletedFileRetentionDuration": f"interval {_OBSOLETE_FILES_KEPT_H} hours",
    "delta.logRetentionDuration": "interval 7 days",
    "delta.enableExpiredLogCleanup": "true",
    "delta.checkpointInterval": "50",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.date()
_MICROSECOND = timedelta(microseconds=1)
_DAY = "day"
_COLORS = re.compile(r"\x1b\[[0-9;]*m")
_MAX_REASON = 300


class DeltaArchiveTable:
    """See `ArchiveTable`."""

    def __init__(self, url: str, name: ArchivedTable) -> None:
        self.url = f"{url}/{name.value}"  # for `url` see `chassis.folder_url`
        self._name = name
        self._application = f"toll_roads.{name.value}"
        self._table: DeltaTable | None = None

    def last_batch(self) -> int:
        with _translate_errors(self.url):
            return self._refreshed().transaction_version(self._application) or 0

    def write(self, batch: int, rows: Sequence[Row]) -> None:
        with _translate_errors(self.url):
            for attempt in range(1, _MAX_ATTEMPTS + 1):
                table = self._refreshed()
                last = table.transaction_version(self._application) or 0
                if last == batch:
                    sync_all(self.url)  # its writer may have died before it did that
                    return
                if last > batch:
                    raise ArchiveAhead(self.url)
                try:
                    write_deltalake(
                        table,
                        _arrow_table(self._name, rows),
                        mode="append",
                        commit_properties=CommitProperties(app_transactions=[Transaction(self._application, batch)]),
                    )
                except CommitFailedError:
                    # Another run committed: the same batch, perhaps.
                    if attempt == _MAX_ATTEMPTS:
                        raise
                else:
                    sync_commit(self.url, table.version())
                    return

    def tidy(self) -> None:
        # Merging is a commit like any other.
        with _translate_errors(self.url):
            table = self._refreshed()
            files = Counter(table.get_add_actions(flatten=True).column(f"partition.{_DAY}").to_pylist())
            crowded = sorted(day for day, number in files.items() if number > _MAX_FILES_A_DAY)
            for day in crowded:
                table.optimize.compact(partition_filters=[(_DAY, "=", day.isoformat())], max_concurrent_tasks=1)
            if crowded:
                table.vacuum(retention_hours=_OBSOLETE_FILES_KEPT_H, dry_run=False, full=True)

    def rows_of(self, order_id: str) -> list[Row]:
        row_type = ROW_TYPES[self._name]
        names = [field.name for field in fields(row_type)]
        with _translate_errors(self.url):
            try:
                table = DeltaTable(self.url)
            except TableNotFoundError:
                return []
            predicate = f"order_id = {_quoted(order_id)}"
            try:
                found = _read(table.scan(columns=names, predicate=predicate))
            except Exception:  # Arrow's; an erasure has removed files of the state that was read
                found = _read(DeltaTable(self.url).scan(columns=names, predicate=predicate))
            columns = [found.column(name).to_pylist() for name in names]
        rows = [row_type(*values) for values in zip(*columns, strict=True)]
        return sorted(rows, key=lambda row: row.created_at)

    def interrupt(self) -> None:
        """Does nothing: deltalake has timeouts of its own, and a commit is short."""

    def erase(self, order_ids: Collection[str]) -> None:
        # Days are written anew without the rows: the log keeps the condition of a DELETE, and so the ids in it.
        listed = ", ".join(map(_quoted, sorted(order_ids)))
        with _translate_errors(self.url):
            if not order_ids or not DeltaTable.is_deltatable(self.url):
                return
            found = _read(self._refreshed().scan(columns=[_DAY], predicate=f"order_id IN ({listed})"))
            for day in sorted(set(found.column(_DAY).to_pylist())):
                self._rewrite(f"{_DAY} = '{day.isoformat()}'", without=f"order_id IN ({listed})")
            table = self._refreshed()
            # Also after a run that was killed between the two. Who reads an older state looks again.
            table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
            # What killed writers left; files of a writer that lives are younger.
            table.vacuum(retention_hours=_OBSOLETE_FILES_KEPT_H, dry_run=False, full=True)

    def _rewrite(self, day: str, *, without: str) -> None:
        """Replaces a day, given by its condition, by its rows without some."""
        for attempt in range(1, _MAX_ATTEMPTS + 1):
            table = self._refreshed()
            names = [*(field.name for field in fields(ROW_TYPES[self._name])), _DAY]
            kept = _read(table.scan(columns=names, predicate=f"{day} AND NOT ({without})"))
            try:
                if kept.num_rows:
                    write_deltalake(table, kept, mode="overwrite", predicate=day)
                else:
                    table.delete(day)
            except CommitFailedError:
                if attempt == _MAX_ATTEMPTS:
                    raise
            else:
                sync_commit(self.url, table.version())
                return

    def _refreshed(self) -> DeltaTable:
        if self._table is None:
            try:
                self._table = DeltaTable.create(
                    self.url, _schema(self._name), mode="ignore", partition_by=_DAY, configuration=_CONFIGURATION
                )
            except DeltaError as error:
                # Another run created it meanwhile. `is_deltatable` would hold Python's lock.
                try:
                    self._table = DeltaTable(self.url)
                except TableNotFoundError:
                    raise error from None
        self._table.update_incremental()
        return self._table


def _read(reader: RecordBatchReader) -> Table:
    """Reads piece by piece: arro3 waits with Python's lock held, and the event loop gets it in between."""
    return Table.from_batches(list(reader), schema=reader.schema)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True, slots=True)
class _Column:
    kind: str
    arrow: DataType
    built_as: DataType | None = None
    convert: Callable[[Any], Any] | None = None  # from whatever the row's field holds
    nullable: bool = False

    def array(self, values: Iterator[Any]) -> Array:
        converted = list(map(self.convert, values) if self.convert else values)
        return (
            Array(converted, self.arrow) if self.built_as is None else Array(converted, self.built_as).cast(self.arrow)
        )


def _microseconds(timestamp: datetime) -> int:
    return (timestamp - _EPOCH) // _MICROSECOND


def _day_number(timestamp: datetime) -> int:
    return (timestamp.astimezone(UTC).date() - _EPOCH_DAY).days


_COLUMNS = {
    "order_id": _Column("string", DataType.utf8()),
    "created_at": _Column(
        "timestamp", DataType.timestamp("us", tz="UTC"), built_as=DataType.int64(), convert=_microseconds
    ),
    "offer_id": _Column("string", DataType.utf8(), nullable=True),
    "can_switch_road": _Column("boolean", DataType.bool()),
    "has_toll_road": _Column("boolean", DataType.bool()),
    _DAY: _Column("date", DataType.date32(), built_as=DataType.int32(), convert=_day_number),
}


def _schema(name: ArchivedTable) -> Schema:
    names = [*(field.name for field in fields(ROW_TYPES[name])), _DAY]
    return Schema([Field(name, PrimitiveType(_COLUMNS[name].kind), nullable=_COLUMNS[name].nullable) for name in names])


def _arrow_table(name: ArchivedTable, rows: Sequence[Row]) -> Table:
    arrays = {
        field.name: _COLUMNS[field.name].array(getattr(row, field.name) for row in rows)
        for field in fields(ROW_TYPES[name])
    }
    return Table.from_pydict({**arrays, _DAY: _COLUMNS[_DAY].array(row.created_at for row in rows)})


@contextmanager
def _translate_errors(url: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # A stream of Arrow fails with a bare Exception.
        if not isinstance(error, DeltaError | OSError | ValueError) and type(error) is not Exception:
            raise
        # The libraries below report the whole chain of causes, in colours.
        reason = " ".join(_COLORS.sub("", str(error)).split())[:_MAX_REASON]
        raise ArchiveFailed(f"the archive at {url} failed: {reason}") from error
