"""The retention jobs as background tasks, each every hour."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.logs import get_logger
from ridehail_servers.chassis.tasks import Task
from ridehail_servers.toll_roads.config import RetentionConfig

from .archive_store import ArchiveStore
from .archiving import Archiving
from .cutoffs import Cutoffs, cutoffs
from .metrics import RETENTION_LAST_SUCCESS, RETENTION_ROWS
from .pace import Pace
from .progress import Progress, Report
from .purging import OfferPurge, OrderPurge
from .store import PurgeStore

logger = get_logger(__name__)

_Run = Callable[[Cutoffs, Pace, Report], Awaitable[bool | None]]


class RetentionJobs:
    """Runs the jobs by schedule, and tells of them by metrics."""

    def __init__(
        self, database: Database, config: Callable[[], RetentionConfig], clock: Clock, archive_url: str | None
    ) -> None:
        """Prepares the jobs.

        Args:
            database: Of toll_roads.
            config: Returns how long rows are kept, at present.
            clock: Tells how old they are.
            archive_url: See `chassis.folder_url`; None: nothing is archived, and no order is deleted.
        """
        self._config = config
        self._clock = clock
        store = PurgeStore()
        tasks = [self._task("purge_offers", "5 * * * *", OfferPurge(database, store).run)]
        if archive_url is not None:
            archiving = Archiving(database, ArchiveStore(), archive_url, clock)
            tasks.append(self._task("archive", "15 * * * *", archiving.run))
        tasks.append(self._task("purge_orders", "35 * * * *", OrderPurge(database, store).run))
        self.tasks = tuple(tasks)

    def _task(self, job: str, schedule: str, run: _Run) -> Task:
        async def scheduled(_at: int) -> None:
            config = self._config()
            pace = Pace(config.batch_size, config.rest_factor)
            if await run(cutoffs(config, self._clock()), pace, _count) is False:
                return  # another run is at it, and tells how it ends
            RETENTION_LAST_SUCCESS.labels(job).set(self._clock().timestamp())
            logger.info("retention job done", job=job)

        return Task(f"toll_roads_{job}", scheduled, schedule=schedule)


def _count(progress: Progress) -> None:
    RETENTION_ROWS.labels(progress.step.value, progress.outcome.value).inc(progress.rows)
