"""Old orders, changes and offers of toll_roads, the jobs on them, and the content of the archive."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deltalake import DeltaTable

from ridehail_servers.chassis.batch_throttle import BatchThrottle
from ridehail_servers.chassis.database import Database
from ridehail_servers.toll_roads.config import RetentionConfig
from ridehail_servers.toll_roads.retention.archive import ArchiveTable, open_archive_table
from ridehail_servers.toll_roads.retention.archive_job import ArchiveJob
from ridehail_servers.toll_roads.retention.archive_store import ArchiveStore
from ridehail_servers.toll_roads.retention.history import OrderHistory, order_history
from ridehail_servers.toll_roads.retention.job import Cutoffs, JobStep, RowOutcome, StepProgress, cutoffs
from ridehail_servers.toll_roads.retention.purge_jobs import OfferPurgeJob, OrderPurgeJob
from ridehail_servers.toll_roads.retention.purge_store import PurgeStore
from ridehail_servers.toll_roads.retention.rows import ArchivedTable
from tests.support.databases import opened_as
from tests.support.waiting import until

NOW = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
# The first and the last of a day, of a leap year, before the epoch, and of all time.
EDGE_TIMESTAMPS = (
    datetime(2026, 3, 1, 23, 59, 59, 999999, tzinfo=UTC),
    datetime(2024, 2, 29, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
)


def ago(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


@dataclass
class Reports:
    """Sums up what a job reports."""

    counts: Counter[tuple[JobStep, RowOutcome]] = field(default_factory=Counter)

    def take(self, progress: StepProgress) -> None:
        self.counts[progress.step, progress.outcome] += progress.rows

    def __getitem__(self, key: tuple[JobStep, RowOutcome]) -> int:
        return self.counts[key]


@dataclass
class Retention:
    """A database with old rows, an archive, and the jobs."""

    database: Database
    database_url: str
    archive_url: str
    now: datetime = NOW
    batch_size: int = 3
    moved_from: Sequence[str] = ()
    open_table: Callable[[str, ArchivedTable], ArchiveTable] = open_archive_table

    @property
    def throttle(self) -> BatchThrottle:
        return BatchThrottle(self.batch_size, rest_factor=0)

    @property
    def cutoffs(self) -> Cutoffs:
        return cutoffs(RetentionConfig(), self.now)

    async def execute(self, statement: str, *parameters: object) -> None:
        async with self.database.connection() as connection:
            await connection.execute(statement.encode(), parameters)

    async def rows(self, query: str, *parameters: object) -> list[tuple[object, ...]]:
        async with self.database.connection() as connection:
            return await (await connection.execute(query.encode(), parameters)).fetchall()

    async def put_order(self, order_id: str, created: datetime, *changes: datetime) -> None:
        """Stores an order, and changes of its road: the first to the toll road, then in turns."""
        await self.execute(
            "INSERT INTO toll_roads.orders (order_id, created_at, offer_id, can_switch_road, yandex_uid)"
            " VALUES (%s, %s, %s, true, 'uid-4711')",
            order_id,
            created,
            f"offer of {order_id}",
        )
        for number, change_created in enumerate(changes):
            await self.put_change(order_id, change_created, has_toll_road=number % 2 == 0)

    async def put_change(self, order_id: str, created: datetime, *, has_toll_road: bool) -> None:
        await self.execute(
            "INSERT INTO toll_roads.log_has_toll_road (order_id, created_at, has_toll_road) VALUES (%s, %s, %s)",
            order_id,
            created,
            has_toll_road,
        )

    async def put_many(self, number: int, *, oldest_h: float, youngest_h: float) -> None:
        """Stores orders with a change each, aged evenly over a span."""
        await self.execute(
            "INSERT INTO toll_roads.orders (order_id, created_at, can_switch_road)"
            " SELECT 'order-' || n, %s::timestamptz + (%s::timestamptz - %s::timestamptz) * n / %s, true"
            " FROM generate_series(1, %s) AS n",
            ago(oldest_h),
            ago(youngest_h),
            ago(oldest_h),
            number,
            number,
        )
        await self.execute(
            "INSERT INTO toll_roads.log_has_toll_road (order_id, created_at, has_toll_road)"
            " SELECT order_id, created_at, true FROM toll_roads.orders WHERE order_id LIKE 'order-%%'"
        )

    async def put_offers(self, **ages_h: float) -> None:
        for offer_id, age in ages_h.items():
            await self.execute("INSERT INTO toll_roads.offers VALUES (%s, %s)", offer_id, ago(age))

    async def archive(self) -> Reports:
        reports = Reports()

        async def is_done() -> bool:
            return await self.archiving().run(self.cutoffs, self.throttle, reports.take)

        # The lock of a run that was just killed is free soon after.
        await until(is_done)
        return reports

    async def purge_offers(self) -> Reports:
        reports = Reports()
        await OfferPurgeJob(self.database, PurgeStore()).run(self.cutoffs, self.throttle, reports.take)
        return reports

    async def purge_orders(self) -> Reports:
        reports = Reports()
        await self.order_purge().run(self.cutoffs, self.throttle, reports.take)
        return reports

    async def history(self, order_id: str) -> OrderHistory:
        return await order_history(self.database, ArchiveStore(), [self.archive_url, *self.moved_from], order_id)

    def archiving(self) -> ArchiveJob:
        return ArchiveJob(self.database, ArchiveStore(), self.archive_url, lambda: self.now, open_table=self.open_table)

    def order_purge(self) -> OrderPurgeJob:
        return OrderPurgeJob(self.database, PurgeStore())

    def archived(self, table: str, columns: Sequence[str]) -> list[tuple[object, ...]]:
        url = f"{self.archive_url}/{table}"
        if not DeltaTable.is_deltatable(url):
            return []
        found = DeltaTable(url).scan(columns=list(columns)).read_all()
        return sorted(zip(*(found.column(name).to_pylist() for name in columns), strict=True))

    def archived_orders(self) -> list[tuple[object, ...]]:
        return self.archived("orders", ("order_id", "created_at"))

    def archived_changes(self) -> list[tuple[object, ...]]:
        return self.archived("log_has_toll_road", ("order_id", "created_at", "has_toll_road"))

    async def stored_orders(self) -> list[tuple[object, ...]]:
        return sorted(await self.rows("SELECT order_id, created_at FROM toll_roads.orders"))

    async def stored_changes(self) -> list[tuple[object, ...]]:
        return sorted(await self.rows("SELECT order_id, created_at, has_toll_road FROM toll_roads.log_has_toll_road"))


@asynccontextmanager
async def retention_of(database_url: str, folder: Path) -> AsyncIterator[Retention]:
    """Opens a database and names an archive, for the length of the block."""
    async with opened_as(Database, database_url) as database:
        yield Retention(database, database_url, (folder / "archive").as_uri())
