"""What the retention jobs have in common: which rows are old, the batch throttle, and the progress that they report.

Source of the ages: the section on the expected amount of data of the toll-roads design: offers are deleted after 24
hours; orders and the changes of their road go to the archive after 24 hours and are deleted after 48.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ridehail_servers.toll_roads.config import RetentionConfig

# A batch that took long, because the archive is slow, say, was no strain for the database.
_MAX_PAUSE_S = 2.0


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """The timestamps before which rows are old; a row of exactly that timestamp is not.

    Attributes:
        offers: Older offers are deleted.
        archive: Older orders and changes go to the archive.
        orders: Older orders and changes that are in the archive are deleted.
    """

    offers: datetime
    archive: datetime
    orders: datetime


def cutoffs(config: RetentionConfig, now: datetime) -> Cutoffs:
    return Cutoffs(
        offers=now - timedelta(hours=config.offers_kept_h),
        archive=now - timedelta(hours=config.archived_after_h),
        orders=now - timedelta(hours=config.orders_kept_h),
    )


@dataclass(frozen=True, slots=True)
class BatchThrottle:
    """Limits how much of the database's time a job takes, for callers wait meanwhile.

    Attributes:
        batch_size: Rows of one transaction, and of one commit to the archive.
        rest_factor: How long the job pauses after a batch, in multiples of the time that the batch took.
    """

    batch_size: int
    rest_factor: float

    @asynccontextmanager
    async def batch(self) -> AsyncIterator[None]:
        """Measures the block, which processes one batch, and pauses after it."""
        began = time.monotonic()
        yield
        await asyncio.sleep(min((time.monotonic() - began) * self.rest_factor, _MAX_PAUSE_S))


class JobStep(StrEnum):
    PURGE_OFFERS = "purge_offers"
    PURGE_SAVE_REQUESTS = "purge_save_requests"
    ARCHIVE_ORDERS = "archive_orders"
    ARCHIVE_LOG = "archive_log"
    PURGE_LOG = "purge_log"
    PURGE_ORDERS = "purge_orders"


class RowOutcome(StrEnum):
    DELETED = "deleted"
    ARCHIVED = "archived"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class StepProgress:
    """The number of rows for which a step has just had an outcome."""

    step: JobStep
    outcome: RowOutcome
    rows: int


ReportProgress = Callable[[StepProgress], None]
"""Receives what a job has done, as soon as it is committed."""
