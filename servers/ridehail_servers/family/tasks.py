"""The background task of family that deletes what is old."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.logs import get_logger
from ridehail_servers.chassis.purging import Delete, delete_in_batches
from ridehail_servers.chassis.tasks import Task

from .invitation import RATE_WINDOW
from .invitation_store import InvitationStore
from .store import FamilyStore

BATCH: Final = 1_000
DISBANDED_KEPT: Final = timedelta(days=7)

logger = get_logger(__name__)


class PurgeFamilies:
    """Deletes invitations a day after they have expired, and families a week after they were disbanded.

    Whoever sends invitations is held to a number a day, for which they are counted. Every batch is a short transaction
    that skips what others have locked; that is left to the next run.
    """

    def __init__(
        self,
        database: Database,
        families: FamilyStore,
        invitations: InvitationStore,
        clock: Clock,
        *,
        batch: int = BATCH,
    ) -> None:
        self._database = database
        self._families = families
        self._invitations = invitations
        self._clock = clock
        self._batch = batch
        self.task = Task("family_purge", self.run, schedule="35 * * * *")

    async def run(self, _at: int) -> None:
        now = self._clock()
        invitations = await self._delete_all(self._invitations.delete_old, now - RATE_WINDOW)
        families = await self._delete_all(self._families.delete_disbanded, now - DISBANDED_KEPT)
        logger.info("old families purged", families=families, invitations=invitations)

    async def _delete_all(self, delete: Delete, before: datetime) -> int:
        return await delete_in_batches(self._database, delete, before, self._batch)
