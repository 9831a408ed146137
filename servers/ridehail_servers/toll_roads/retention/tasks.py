"""The retention jobs as background tasks, each every hour, and the erasure from the archive, every five minutes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ridehail_servers.chassis.batch_throttle import BatchThrottle
from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.logs import get_logger
from ridehail_servers.chassis.tasks import Task
from ridehail_servers.toll_roads.config import RetentionConfig

from .archive import open_archive_table
from .archive_job import ArchiveJob
from .archive_store import ArchiveStore
from .erasure_job import ErasureJob
from .erasure_store import ErasureStore
from .job import Cutoffs, ReportProgress, StepProgress, cutoffs
from .metrics import RETENTION_LAST_SUCCESS, RETENTION_ROWS
from .purge_jobs import OfferPurgeJob, OrderPurgeJob
from .purge_store import PurgeStore
from .rows import ArchivedTable

logger = get_logger(__name__)

_Run = Callable[[Cutoffs, BatchThrottle, ReportProgress], Awaitable[bool | None]]


def retention_tasks(
    database: Database, config: Callable[[], RetentionConfig], clock: Clock, archive_url: str | None
) -> list[Task]:
    """Returns the scheduled jobs; without an `archive_url` nothing is archived, and no order is deleted."""

    def task(job: str, schedule: str, run: _Run) -> Task:
        async def scheduled(_at: int) -> None:
            present = config()
            throttle = BatchThrottle(present.batch_size, present.rest_factor)
            if await run(cutoffs(present, clock()), throttle, _count) is False:
                return  # another run is archiving, and exports its own success
            RETENTION_LAST_SUCCESS.labels(job).set(clock().timestamp())
            logger.info("retention job done", job=job)

        return Task(f"toll_roads_{job}", scheduled, schedule=schedule)

    erasure_job = ErasureJob(database, ErasureStore(), archive_url, clock)

    async def erase(_cutoffs: Cutoffs, _throttle: BatchThrottle, _report: ReportProgress) -> bool:
        return await erasure_job.run()

    store = PurgeStore()
    tasks = [task("purge_offers", "5 * * * *", OfferPurgeJob(database, store).run)]
    if archive_url is not None:
        # Reads nothing; but where what it takes is not installed, the worker shall not start.
        open_archive_table(archive_url, ArchivedTable.ORDERS)
        archive_job = ArchiveJob(database, ArchiveStore(), archive_url, clock)
        tasks.append(task("archive", "15 * * * *", archive_job.run))
    tasks.append(task("purge_orders", "35 * * * *", OrderPurgeJob(database, store).run))
    tasks.append(task("erase_archived", "*/5 * * * *", erase))
    return tasks


def _count(progress: StepProgress) -> None:
    RETENTION_ROWS.labels(progress.step.value, progress.outcome.value).inc(progress.rows)
