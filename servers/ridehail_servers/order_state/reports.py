"""Takes services' reports."""

from __future__ import annotations

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Database

from .report import Report, standing_after
from .store import OrderStateStore


class Reports:
    """Stores what is reported, as far as it is newer than what is stored."""

    def __init__(self, database: Database, store: OrderStateStore, clock: Clock) -> None:
        """Takes what it needs.

        Args:
            database: Of order_state.
            store: Its SQL.
            clock: Tells the time.
        """
        self._database = database
        self._store = store
        self._clock = clock

    async def take(self, report: Report) -> bool:
        """Stores a report, all of it or nothing.

        Args:
            report: The report.

        Returns:
            Whether it told anything newer than what was known.

        Raises:
            OrderOwnerMismatch: The order was reported as another rider's.
        """
        async with self._database.transaction() as connection:
            before = await self._store.lock_order(connection, report.key, report.yandex_uid, self._clock())
            after = standing_after(report, before)
            if after != before:
                await self._store.set_standing(connection, report.key, after)
            changed = await self._store.save_parts(connection, report.key, report.parts, report.sequence)
        return after != before or changed > 0
