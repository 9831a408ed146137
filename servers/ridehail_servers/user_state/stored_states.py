"""Reads and updates users' personal states."""

from __future__ import annotations

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Connection, Database
from ridehail_servers.chassis.shared_reads import SharedReads
from ridehail_servers.personal_state_backend.errors import RevisionConflict
from ridehail_servers.personal_state_backend.state import EMPTY, PersonalState, StateChange, check_size

from .store import StateStore


class StoredStates:
    """The states in the database; concurrent reads share their queries.

    Nothing is cached: the query for a lookup begins after the lookup does, so it sees all that was stored before.
    """

    def __init__(self, database: Database, store: StateStore, clock: Clock) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self._states = SharedReads(database, store.states_of)

    async def of_user(self, yandex_uid: str) -> PersonalState:
        return await self._states.get(yandex_uid) or EMPTY

    async def update(self, yandex_uid: str, change: StateChange, *, dry_run: bool) -> PersonalState:
        """Changes a state that is at the revision that the change expects, and returns the result.

        With `dry_run` the change is rolled back.

        Raises:
            RevisionConflict: The state is at another revision.
            PersonalStateTooLarge: It would become too large.
        """
        async with self._database.transaction(dry_run=dry_run) as connection:
            changed = await self._apply(connection, yandex_uid, change)
            if changed is None:
                raise RevisionConflict(await self._store.revision_of(connection, yandex_uid))
            check_size(changed)
            return changed

    async def _apply(self, connection: Connection, yandex_uid: str, change: StateChange) -> PersonalState | None:
        expected, now = change.expected_revision(), self._clock()
        if expected is None:
            return None
        if expected == 0:
            return await self._store.insert(connection, yandex_uid, change, now)
        return await self._store.update(connection, yandex_uid, expected, change, now)
