"""The retention jobs as background tasks, each every hour."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.logs import get_logger
from ridehail_servers.chassis.tasks import Task
from ridehail_servers.toll_roads.config import RetentionConfig

from .archive_job import ArchiveJob
from .archive_store import ArchiveStore
from .job import BatchThrottle, Cutoffs, ReportProgress, StepProgress, cutoffs
from .metrics import RETENTION_LAST_SUCCESS, RETENTION_ROWS
from .purge_jobs import OfferPurgeJob, OrderPurgeJob
from .purge_store import PurgeStore

logger = get_logger(__name__)

_Run = Callable[[Cutoffs, BatchThrottle, ReportProgress], Awaitable[bool | None]]


class RetentionTasks:
    """Runs the jobs by schedule, and exports their metrics."""

    def __init__(
        self, database: Database, config: Callable[[], RetentionConfig], clock: Clock, archive_url: str | None
    ) -> None:
        """Prepares the jobs; without an `archive_url` nothing is archived, and no order is deleted."""
        self._config = config
        self._clock = clock
        store = PurgeStore()
        tasks = [self._task("purge_offers", "5 * * * *", OfferPurgeJob(database, store).run)]
        if archive_url is not None:
            job = ArchiveJob(database, ArchiveStore(), archive_url, clock)
            tasks.append(self._task("archive", "15 * * * *", job.run))
        tasks.append(self._task("purge_orders", "35 * * * *", OrderPurgeJob(database, store).run))
        self.tasks = tuple(tasks)

    def _task(self, job: str, schedule: str, run: _Run) -> Task:
        async def scheduled(_at: int) -> None:
            config = self._config()
            throttle = BatchThrottle(config.batch_size, config.rest_factor)
            if await run(cutoffs(config, self._clock()), throttle, _count) is False:
                return  # another run is archiving, and exports its own success
            RETENTION_LAST_SUCCESS.labels(job).set(self._clock().timestamp())
            logger.info("retention job done", job=job)

        return Task(f"toll_roads_{job}", scheduled, schedule=schedule)


def _count(progress: StepProgress) -> None:
    RETENTION_ROWS.labels(progress.step.value, progress.outcome.value).inc(progress.rows)
