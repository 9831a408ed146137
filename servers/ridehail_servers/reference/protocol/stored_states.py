"""StoredStates' documents, read, changed and copied."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Connection, Database
from ridehail_servers.personal_state_backend.state import Change, PersonalState, StateCopy, check_page, checked

from .document import changed, document_of, state_of
from .store import DocumentStore


class StoredStates:
    """Reads and changes what is kept of users."""

    def __init__(self, database: Database, store: DocumentStore, clock: Clock) -> None:
        """Takes what it needs.

        Args:
            database: Of protocol.
            store: Its SQL.
            clock: Tells the time.
        """
        self._database = database
        self._store = store
        self._clock = clock

    async def state_of(self, yandex_uid: str) -> PersonalState:
        """Returns a user's state.

        Args:
            yandex_uid: The user.
        """
        return state_of(await self._database.read(lambda connection: self._store.find(connection, yandex_uid)))

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
            before = state_of(await self._store.find(connection, yandex_uid))
            if change.expected_revision() != before.revision:
                return checked(None, before.revision)
            after = checked(changed(before, change), before.revision)
            if await self._write(connection, yandex_uid, after):
                return after
            # Somebody else was faster. What they have written is there to see.
            return checked(None, state_of(await self._store.find(connection, yandex_uid)).revision)

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
            found = await self._database.read(
                lambda connection: self._store.list_all(connection, after_yandex_uid, limit)
            )
        else:
            found = await self._database.read(
                lambda connection: self._store.list_changed(connection, after_yandex_uid, limit, changed_since)
            )
        page = None if found is None else [StateCopy(uid, state_of(document)) for uid, document in found]
        return check_page(page)

    async def import_newer(self, copies: Sequence[StateCopy]) -> int:
        """Stores those of the copies whose revision is higher than that of what is there, all or none.

        Args:
            copies: Each user once.

        Returns:
            How many were stored.
        """
        documents = {copy.yandex_uid: document_of(copy.state) for copy in copies if copy.state.revision}
        async with self._database.connection() as connection:
            return await self._store.import_newer(connection, documents, self._clock())

    async def _write(self, connection: Connection, yandex_uid: str, after: PersonalState) -> bool:
        document, now = document_of(after), self._clock()
        if after.revision == 1:
            return await self._store.insert(connection, yandex_uid, document, now)
        return await self._store.replace(connection, yandex_uid, after.revision - 1, document, now)
