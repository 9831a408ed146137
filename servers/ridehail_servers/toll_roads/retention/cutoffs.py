"""Which rows are old.

Source: the section on the expected amount of data of the toll-roads design: offers go after 24 hours; orders are moved
to the archive after 24 hours and deleted after 48, and so are the changes of their road.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ridehail_servers.toll_roads.config import RetentionConfig


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """The moments before which rows are old; a row of exactly that moment is not.

    Attributes:
        offers: Offers made earlier are deleted.
        archive: Orders and changes made earlier go to the archive.
        orders: Of those that are in the archive, the ones made earlier are deleted.
    """

    offers: datetime
    archive: datetime
    orders: datetime


def cutoffs(config: RetentionConfig, now: datetime) -> Cutoffs:
    """Returns what is old at a moment.

    Args:
        config: How long rows are kept.
        now: The moment; aware.
    """
    return Cutoffs(
        offers=now - timedelta(hours=config.offers_kept_h),
        archive=now - timedelta(hours=config.archived_after_h),
        orders=now - timedelta(hours=config.orders_kept_h),
    )
