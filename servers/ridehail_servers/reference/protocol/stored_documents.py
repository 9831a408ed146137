"""Reads and updates users' documents."""

from __future__ import annotations

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Connection, Database
from ridehail_servers.personal_state_backend.errors import RevisionConflict
from ridehail_servers.personal_state_backend.state import PersonalState, StateChange, check_size

from .document import changed, document_of, state_of
from .store import DocumentStore


class StoredDocuments:
    """The states in the database, each within a document."""

    def __init__(self, database: Database, store: DocumentStore, clock: Clock) -> None:
        self._database = database
        self._store = store
        self._clock = clock

    async def of_user(self, yandex_uid: str) -> PersonalState:
        return state_of(await self._database.read(lambda connection: self._store.find(connection, yandex_uid)))

    async def update(self, yandex_uid: str, change: StateChange, *, dry_run: bool) -> PersonalState:
        """Changes a state that is at the revision that the change expects, and returns the result.

        With `dry_run` the change is rolled back.

        Raises:
            RevisionConflict: The state is at another revision.
            PersonalStateTooLarge: It would become too large.
        """
        async with self._database.transaction(dry_run=dry_run) as connection:
            before = state_of(await self._store.find(connection, yandex_uid))
            if change.expected_revision() != before.revision:
                raise RevisionConflict(before.revision)
            after = changed(before, change)
            check_size(after)
            if not await self._write(connection, yandex_uid, after):
                # A concurrent update won, and is visible now.
                raise RevisionConflict(state_of(await self._store.find(connection, yandex_uid)).revision)
            return after

    async def _write(self, connection: Connection, yandex_uid: str, after: PersonalState) -> bool:
        document, now = document_of(after), self._clock()
        if after.revision == 1:
            return await self._store.insert(connection, yandex_uid, document, now)
        return await self._store.replace(connection, yandex_uid, after.revision - 1, document, now)
