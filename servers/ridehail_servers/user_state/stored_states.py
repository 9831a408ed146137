"""Users' personal states, read, changed and copied."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Connection, Database
from ridehail_servers.chassis.shared_reads import SharedReads
from ridehail_servers.personal_state_backend.state import EMPTY, Change, PersonalState, StateCopy, check_page, checked

from .store import StateStore


class StoredStates:
    """Reads and changes states; concurrent reads share their queries.

    Nothing is cached: a lookup is answered by a query that began after it, so it sees all that was stored before.
    """

    def __init__(self, database: Database, store: StateStore, clock: Clock) -> None:
        """Takes what it needs.

        Args:
            database: Of user_state.
            store: Its SQL.
            clock: Tells the time.
        """
        self._database = database
        self._store = store
        self._clock = clock
        self._states = SharedReads(database, store.states_of)

    async def of_user(self, yandex_uid: str) -> PersonalState:
        """Returns a user's state.

        Args:
            yandex_uid: The user.
        """
        return await self._states.get(yandex_uid) or EMPTY

    async def update(self, yandex_uid: str, change: Change, *, undone: bool) -> PersonalState:
        """Changes a user's state, if it is of the revision that the change expects.

        Args:
            yandex_uid: The user.
            change: What to change.
            undone: Whether all is undone in the end, so that only the answer is as if it had been done.

        Returns:
            The state after it.

        Raises:
            RevisionConflict: It is of another revision.
            PersonalStateTooLarge: It would become too large.
        """
        async with self._database.transaction(dry_run=undone) as connection:
            changed = await self._apply(connection, yandex_uid, change)
            current = await self._store.revision_of(connection, yandex_uid) if changed is None else 0
            return checked(changed, current)

    async def listed(self, after_yandex_uid: str, limit: int, changed_since: datetime | None) -> Sequence[StateCopy]:
        """Returns states by user.

        Args:
            after_yandex_uid: From the first user after this one.
            limit: How many at most.
            changed_since: Only states that changed at this moment or later; None: all.

        Raises:
            ResponseTooLarge: They are too large for one answer.
        """
        if changed_since is None:
            page = await self._database.read(
                lambda connection: self._store.list_all(connection, after_yandex_uid, limit)
            )
        else:
            page = await self._database.read(
                lambda connection: self._store.list_changed(connection, after_yandex_uid, limit, changed_since)
            )
        return check_page(page)

    async def import_newer(self, copies: Sequence[StateCopy]) -> int:
        """Stores those of the copies whose revision is higher than that of what is there, all or none.

        Args:
            copies: Each user once.

        Returns:
            How many were stored.
        """
        async with self._database.connection() as connection:
            return await self._store.import_newer(connection, copies, self._clock())

    async def _apply(self, connection: Connection, yandex_uid: str, change: Change) -> PersonalState | None:
        expected, now = change.expected_revision(), self._clock()
        if expected is None:
            return None
        if expected == 0:
            return await self._store.insert(connection, yandex_uid, change, now)
        return await self._store.update(connection, yandex_uid, expected, change, now)
