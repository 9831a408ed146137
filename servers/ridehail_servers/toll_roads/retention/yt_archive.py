"""An archive of static tables in a YTsaurus cluster, one for each day of `created_at` (UTC).

A batch is appended in one master transaction, which also sets the batch's number as an attribute of the tables' folder.
The transaction first locks that attribute, then reads it: no other one can set it until this one has ended, committed
or not (https://ytsaurus.tech/docs/en/user-guide/storage/transactions#locks). However many try, and wherever they die,
each batch is in the archive once.
"""

from __future__ import annotations

import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import orjson

from ridehail_servers.chassis.extras import needs_extra
from ridehail_servers.chassis.logs import get_logger
from ridehail_servers.chassis.yt_url import YtUrl

from .archive import ArchiveAhead, ArchiveFailed
from .rows import ROW_TYPES, ArchivedTable, Row
from .yt_client import FAILURES, YtTimeouts, connect, hurry, is_passing, reason_of, start_merge, start_transaction

with needs_extra("yt"):
    from yt.wrapper import JsonFormat, YtClient

logger = get_logger(__name__)

_Result = TypeVar("_Result")

_LAST_BATCH = "toll_roads_last_batch"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# The cluster's own type for timestamps begins in 1970, and a row that it refuses would hold up all later ones.
_TYPES = {
    "order_id": {"type": "utf8", "required": True},
    "created_at": {"type": "int64", "required": True},
    "offer_id": {"type": "utf8", "required": False},
    "can_switch_road": {"type": "boolean", "required": True},
    "has_toll_road": {"type": "boolean", "required": True},
}
# More chunks than these in the table of a day are merged.
_MAX_CHUNKS_A_DAY = 16
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_FORMAT = JsonFormat(encode_utf8=False)
# Ids that JSON writes as they are, so that lines of other orders need not be parsed.
_PLAIN_ID = re.compile(r"[A-Za-z0-9_.\-]+")


class YtArchiveTable:
    """See `ArchiveTable`."""

    def __init__(self, url: str, name: ArchivedTable, *, timeouts: YtTimeouts | None = None) -> None:
        self._cluster = YtUrl.parse(url)
        self._name = name
        self._folder = f"{self._cluster.path}/{name.value}"
        self.url = f"yt:{self._cluster.proxy.partition(':')[2]}{self._folder[1:]}"
        self._timeouts = timeouts or YtTimeouts()
        self._interrupted = threading.Event()
        self._opened: YtClient | None = None

    def last_batch(self) -> int:
        def create_and_read() -> int:
            self._client.create("map_node", self._folder, recursive=True, ignore_existing=True)
            return self._last_batch()

        return self._attempts(create_and_read)

    def write(self, batch: int, rows: Sequence[Row]) -> None:
        days = defaultdict[date, list[Row]](list)
        for row in rows:
            days[row.created_at.astimezone(UTC).date()].append(row)

        def append() -> None:
            with self._transaction(f"toll_roads: archive {self._name.value}, batch {batch}"):
                last = self._last_batch()
                if last == batch:
                    return
                if last > batch:
                    raise ArchiveAhead(self.url)
                for day, rows_of_day in sorted(days.items()):
                    self._append(day, rows_of_day)
                self._client.set(f"{self._folder}/@{_LAST_BATCH}", batch)

        self._attempts(append)

    def tidy(self) -> None:
        for name in self._attempts(self._crowded_days):
            try:
                self._attempts(partial(self._merge, name))
            except ArchiveFailed as error:
                # Nothing is missing, and the next run tries again.
                logger.warning("chunks were not merged", table=self._name.value, day=name, reason=str(error))

    def rows_of(self, order_id: str) -> list[Row]:
        names = self._attempts(self._days)
        found = [row for name in names for row in self._attempts(partial(self._read, name, order_id))]
        return sorted(found, key=lambda row: row.created_at)

    def erase(self, order_ids: Collection[str]) -> None:
        erased = frozenset(order_ids)
        for name in self._attempts(self._days) if erased else ():
            self._attempts(partial(self._erase, name, erased))

    def interrupt(self) -> None:
        self._interrupted.set()
        if self._opened is not None:
            hurry(self._opened)

    @property
    def _client(self) -> YtClient:
        if self._opened is None:
            self._opened = connect(self._cluster, self._timeouts)
        return self._opened

    def _last_batch(self) -> int:
        return int(self._client.get_attribute(self._folder, _LAST_BATCH, default=0))

    @contextmanager
    def _transaction(self, title: str) -> Iterator[None]:
        """Runs the block in a transaction that nobody else can have at the same time."""
        started = start_transaction(self._client, title, self._timeouts)
        with self._client.Transaction(transaction_id=started, acquire=True, ping=True):
            self._client.lock(self._folder, mode="shared", attribute_key=_LAST_BATCH)
            yield

    def _append(self, day: date, rows: Sequence[Row]) -> None:
        path = f"{self._folder}/{day.isoformat()}"
        schema = [{"name": field.name, **_TYPES[field.name]} for field in fields(ROW_TYPES[self._name])]
        attributes = {"schema": schema, "optimize_for": "scan"}
        self._client.create("table", path, ignore_existing=True, attributes=attributes)
        lines = b"".join(orjson.dumps(_cells(row), option=orjson.OPT_APPEND_NEWLINE) for row in rows)
        # Neither split nor repeated: what fails fails the transaction. So it needs no transaction of its own.
        transaction = self._client.get_current_transaction_id()
        self._client.config["write_retries"]["transaction_id"] = transaction
        self._client.write_table(
            self._client.TablePath(path, append=True), lines, format=_FORMAT, raw=True, force_create=False
        )

    def _erase(self, name: str, order_ids: Collection[str]) -> None:
        """Writes the table of a day again without the rows of orders, if it has any, while nobody can append to it."""
        path = f"{self._folder}/{name}"
        with self._transaction(f"toll_roads: erase from {self._name.value}, {name}"):
            lines = list(self._lines(path))
            kept = [line for line in lines if orjson.loads(line)["order_id"] not in order_ids]
            if len(kept) == len(lines):
                return
            transaction = self._client.get_current_transaction_id()
            self._client.config["write_retries"]["transaction_id"] = transaction
            self._client.write_table(path, b"".join(kept), format=_FORMAT, raw=True, force_create=False)

    def _lines(self, path: str) -> Iterator[bytes]:
        stream = self._client.read_table(path, format=_FORMAT, raw=True)
        try:
            yield from iter(stream.readline, b"")
        finally:
            stream.close()

    def _days(self) -> list[str]:
        if not self._client.exists(self._folder):
            return []
        return [name for name in map(str, self._client.list(self._folder)) if _DAY.fullmatch(name)]

    def _crowded_days(self) -> list[str]:
        listed = self._client.list(self._folder, attributes=["chunk_count"])
        return [
            str(name)
            for name in listed
            if _DAY.fullmatch(str(name)) and name.attributes["chunk_count"] > _MAX_CHUNKS_A_DAY
        ]

    def _merge(self, name: str) -> None:
        """Has the cluster write the table of a day again, in fewer chunks, while no batch can be appended."""
        title = f"toll_roads: merge {self._name.value}, {name}"
        with self._transaction(title):
            operation = start_merge(self._client, f"{self._folder}/{name}", title, self._cluster.pool)
            give_up_at = time.monotonic() + self._timeouts.merge_s
            while not (state := self._client.get_operation_state(operation)).is_finished():
                if self._interrupted.wait(self._timeouts.pause_s) or time.monotonic() > give_up_at:
                    # The end of the transaction ends the operation.
                    raise ArchiveFailed(f"the operation {operation} takes too long")
            if state.is_unsuccessfully_finished():
                raise ArchiveFailed(f"the operation {operation} is {state}")

    def _read(self, name: str, order_id: str) -> list[Row]:
        row_type = ROW_TYPES[self._name]
        part_of_line = order_id.encode() if _PLAIN_ID.fullmatch(order_id) else b""
        lines = self._lines(f"{self._folder}/{name}")
        cells = (orjson.loads(line) for line in lines if part_of_line in line)
        return [_row(row_type, one) for one in cells if one["order_id"] == order_id]

    def _attempts(self, work: Callable[[], _Result]) -> _Result:
        """Does the work, again while what fails may pass: proxies that are away, or a transaction that others have.

        A writer that was killed leaves a transaction behind, which ends by its timeout.
        """
        give_up_at = time.monotonic() + self._timeouts.total_s
        pause = self._timeouts.pause_s
        while True:
            if self._interrupted.is_set():
                raise ArchiveFailed(f"the work on the archive at {self.url} was interrupted")
            try:
                return work()
            except FAILURES as error:
                reason = reason_of(error)
                if not is_passing(error) or time.monotonic() + pause > give_up_at:
                    raise ArchiveFailed(f"the archive at {self.url} failed: {reason}") from error
                logger.info("the archive failed, trying again", table=self._name.value, reason=reason)
            self._interrupted.wait(pause)
            pause = min(2 * pause, self._timeouts.max_pause_s)


def _cells(row: Row) -> dict[str, object]:
    cells = {field.name: getattr(row, field.name) for field in fields(row)}
    return {**cells, "created_at": (row.created_at - _EPOCH) // _MICROSECOND}


def _row(row_type: type[Row], cells: dict[str, Any]) -> Row:
    created_at = _EPOCH + cells["created_at"] * _MICROSECOND
    return row_type(**{**{field.name: cells.get(field.name) for field in fields(row_type)}, "created_at": created_at})
