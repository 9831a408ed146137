"""Publishes families that have changed to those who follow them.

A change, its version and the task to publish it are one transaction. The task sends the family as it is when the task
runs, at least once, so versions may be skipped, repeated and overtaken: followers keep the highest one.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Protocol

from ridehail_servers.chassis.background import report_failure
from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Connection, Database
from ridehail_servers.chassis.errors import DomainError
from ridehail_servers.chassis.logs import get_logger
from ridehail_servers.chassis.tasks import Task, TaskQueue

from .membership import FamilySnapshot
from .metrics import PUBLICATION_DELAY, UNPUBLISHED_FAMILIES, UNPUBLISHED_OLDEST
from .publication_store import PublicationStore

PUBLISH: Final = "family_publish"
OVERDUE: Final = timedelta(seconds=5)
"""After this long a change is no longer left to its own task alone, which may be waiting to be tried again."""
BATCH: Final = 500

logger = get_logger(__name__)


class FamilyFollower(Protocol):
    """Keeps what families are at their highest version."""

    async def put_family(self, snapshot: FamilySnapshot) -> None:
        """Stores a family, unless a higher version is stored; raises `DependencyUnavailable`."""


class FamilyChanges:
    """Records changes of families in the transactions that make them."""

    def __init__(self, store: PublicationStore, queue: TaskQueue, clock: Clock) -> None:
        self._store = store
        self._queue = queue
        self._clock = clock

    async def record(self, connection: Connection, family_id: str) -> None:
        """Gives a family that has been changed a new version, with the task to publish it.

        Every transaction that changes a family, its members, their phones or the admin's name has to call it, and to
        hold the family's lock.
        """
        number = await self._store.add_version(connection, family_id, self._clock())
        assert number is not None  # what is locked is there
        await self._queue.enqueue(connection, PUBLISH, number)


class PublishFamilies:
    """Sends changed families to their follower."""

    def __init__(self, database: Database, store: PublicationStore, follower: FamilyFollower, clock: Clock) -> None:
        self._database = database
        self._store = store
        self._follower = follower
        self._clock = clock
        self.task = Task(PUBLISH, self.publish)
        self.overdue_task = Task("family_publish_overdue", self.publish_overdue, schedule="* * * * *")

    async def publish(self, family_number: int) -> None:
        """Sends a family at its present version, unless that is confirmed; raises `DependencyUnavailable`."""
        found = await self._database.read(lambda connection: self._store.unpublished(connection, family_number))
        if found is None:
            return
        await self._follower.put_family(found.snapshot)
        async with self._database.transaction() as connection:
            await self._store.confirm(connection, found.snapshot.family_id, found.snapshot.version)
        PUBLICATION_DELAY.observe(max(0.0, (self._clock() - found.since).total_seconds()))

    async def publish_overdue(self, _at: int) -> None:
        """Publishes what the tasks of its changes have not: they wait longer and longer, or failed by a defect."""
        now = self._clock()
        families = await self._database.read(lambda connection: self._store.overdue(connection, now - OVERDUE, BATCH))
        UNPUBLISHED_FAMILIES.set(len(families))
        UNPUBLISHED_OLDEST.set(max(((now - since).total_seconds() for _number, since in families), default=0.0))
        for number, _since in families:
            try:
                await self.publish(number)
            except DomainError as error:
                # The next minute comes anyhow: a retry of each minute's run would add up.
                logger.warning("families are not published", waiting=len(families), reason=error.reason)
                return
            except Exception as error:  # a defect with one family must not hold up the others
                report_failure(self.overdue_task.name, error, family=number)
