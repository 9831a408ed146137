"""Changes agreements of the database, and says what was and what would be done.

Changes take turns, so that each starts from what the one before it left. Each is stored with its history, the run that
marks those who have to decide again and the notification of other processes, all of it or nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Connection, Database
from ridehail_servers.chassis.row_counts import RowCount
from ridehail_servers.eulas.eula_catalogue import Eula
from ridehail_servers.eulas.metrics import AGREEMENT_CHANGES

from .agreement_rules import Agreement
from .errors import EulasInFile
from .eula_change import (
    AgreementChange,
    Author,
    ChangeKind,
    FileImport,
    StoredAgreement,
    asks_again,
    by_id,
    changed_fields,
    creation,
    file_import,
    update,
    withdrawal,
)
from .resign_store import NewRun, ResignRun, ResignStore
from .store import AdminStore, PastChange

MAX_COUNTED = 500_000
"""More riders than this are estimated instead of counted."""

_LATEST = 2**63 - 1


class RiderCount(NamedTuple):
    number: int
    is_estimate: bool


class UpdatePreview(NamedTuple):
    """What an update would do: see `PreviewEulaUpdateResponse` of the contract."""

    version: int
    changed_fields: Sequence[str]
    asks_again: bool
    riders: RiderCount


class AgreementAdmin:
    def __init__(
        self,
        database: Database,
        *,
        agreements: AdminStore,
        runs: ResignStore,
        enqueue: Callable[[Connection, int], Awaitable[None]],
        is_in_force: Callable[[], bool],
        clock: Clock,
    ) -> None:
        """Takes what it needs.

        Args:
            database: Of the service.
            agreements: The SQL of agreements.
            runs: The SQL of runs.
            enqueue: Enqueues the task that does the run of a change, in the transaction of a connection.
            is_in_force: Returns whether the agreements of the database are in force.
            clock: Stamps changes.
        """
        for kind in ChangeKind:
            AGREEMENT_CHANGES.labels(kind.value)  # visible at 0
        self._database = database
        self._agreements = agreements
        self._runs = runs
        self._enqueue = enqueue
        self._is_in_force = is_in_force
        self._clock = clock

    async def create(self, new: Agreement, author: Author) -> StoredAgreement:
        """Creates an agreement; see `creation` for what it raises, and `EulasInFile`."""
        self._check_in_force()
        async with self._database.transaction() as connection:
            latest = await self._agreements.lock_catalogue(connection)
            stored = await self._locked(connection, new.eula.eula_id)
            change = creation(stored, new, await self._agreements.last_position(connection))
            return await self._saved(connection, stored, change, latest, author)

    async def update(self, new: Agreement, expected_version: int, author: Author) -> StoredAgreement:
        """Changes an agreement; see `update` for what it raises, and `EulasInFile`."""
        self._check_in_force()
        # Counted before anything is locked: saves of decisions wait for those locks.
        expected = await self._expected(new, expected_version)
        async with self._database.transaction() as connection:
            latest = await self._agreements.lock_catalogue(connection)
            stored = await self._locked(connection, new.eula.eula_id)
            change = update(stored, new, expected_version)
            return await self._saved(connection, stored, change, latest, author, expected=expected)

    async def withdraw(self, eula_id: str, expected_version: int, author: Author) -> StoredAgreement:
        """Takes an agreement out of force; see `withdrawal` for what it raises, and `EulasInFile`."""
        self._check_in_force()
        async with self._database.transaction() as connection:
            latest = await self._agreements.lock_catalogue(connection)
            stored = await self._locked(connection, eula_id)
            change = withdrawal(stored, eula_id, expected_version)
            return await self._saved(connection, stored, change, latest, author)

    async def preview(self, new: Agreement) -> UpdatePreview:
        """Returns what an update of an agreement as it is would do; see `update` for what it raises."""
        stored = await self._find(new.eula.eula_id)
        change = update(stored, new)
        assert stored is not None
        asks = change is not None and change.asks_again
        count = await self._count(stored.agreement.eula) if asks else RiderCount(0, is_estimate=False)
        return UpdatePreview(stored.version, changed_fields(stored.agreement, new), asks, count)

    async def import_file(
        self, eulas: Sequence[Eula], locales: Sequence[str], author: Author, *, dry_run: bool
    ) -> FileImport:
        """Copies the agreements of the configuration file into the database; see `file_import`."""
        async with self._database.transaction(dry_run=dry_run) as connection:
            latest = await self._agreements.lock_catalogue(connection)
            stored = by_id(await self._agreements.all_agreements(connection))
            found = file_import(eulas, stored, locales)
            await self._agreements.lock_agreements(connection, sorted(stored))
            for number, change in enumerate(found.changes, start=1):
                await self._agreements.save(connection, latest + number, change, author, self._clock())
            if found.changes:
                await self._agreements.notify(connection)
        if not dry_run:
            for change in found.changes:
                AGREEMENT_CHANGES.labels(change.kind.value).inc()
        return found

    async def records(self, after_eula_id: str, limit: int, *, with_withdrawn: bool) -> Sequence[StoredAgreement]:
        """Returns agreements by id, from the first after the given one."""
        return await self._database.read(
            lambda connection: self._agreements.list_page(
                connection, after_eula_id, limit, with_withdrawn=with_withdrawn
            )
        )

    async def history(self, eula_id: str | None, before_version: int | None, limit: int) -> Sequence[PastChange]:
        """Returns changes of one agreement or of all, the latest first."""
        before = _LATEST if before_version is None else before_version
        if eula_id is None:
            return await self._database.read(lambda connection: self._agreements.history(connection, before, limit))
        return await self._database.read(
            lambda connection: self._agreements.history_of(connection, eula_id, before, limit)
        )

    async def runs(self, eula_id: str | None, limit: int) -> Sequence[ResignRun]:
        """Returns runs of one agreement or of all, the latest first."""
        if eula_id is None:
            return await self._database.read(lambda connection: self._runs.latest_runs(connection, limit))
        return await self._database.read(lambda connection: self._runs.latest_runs_of(connection, eula_id, limit))

    def _check_in_force(self) -> None:
        if not self._is_in_force():
            raise EulasInFile

    async def _locked(self, connection: Connection, eula_id: str) -> StoredAgreement | None:
        return next(iter(await self._agreements.lock_agreements(connection, [eula_id])), None)

    async def _find(self, eula_id: str) -> StoredAgreement | None:
        return await self._database.read(lambda connection: self._agreements.find(connection, eula_id))

    async def _saved(
        self,
        connection: Connection,
        stored: StoredAgreement | None,
        change: AgreementChange | None,
        latest: int,
        author: Author,
        *,
        expected: int = 0,
    ) -> StoredAgreement:
        """Stores a change and returns what is there then; without a change, what is there."""
        if change is None:
            assert stored is not None
            return stored
        now, version = self._clock(), latest + 1
        saved = await self._agreements.save(connection, version, change, author, now)
        if change.asks_again:
            assert stored is not None
            before = stored.agreement.eula
            await self._runs.insert_run(connection, NewRun(version, before.eula_id, before.revision, expected), now)
            await self._enqueue(connection, version)
        await self._agreements.notify(connection)
        AGREEMENT_CHANGES.labels(change.kind.value).inc()
        return saved

    async def _expected(self, new: Agreement, expected_version: int) -> int:
        """Returns how many riders an update will probably ask."""
        stored = await self._find(new.eula.eula_id)
        if stored is None or stored.version != expected_version or not asks_again(stored.agreement.eula, new.eula):
            return 0
        return (await self._count(stored.agreement.eula)).number

    async def _count(self, eula: Eula) -> RiderCount:
        """Counts the riders whose decision on an agreement counts now."""

        async def count(connection: Connection) -> RiderCount:
            arguments = (connection, eula.eula_id, eula.revision, self._clock())
            estimate = await self._runs.count_riders(*arguments, RowCount.ESTIMATED)
            if estimate > MAX_COUNTED:
                return RiderCount(estimate, is_estimate=True)
            return RiderCount(await self._runs.count_riders(*arguments, RowCount.EXACT), is_estimate=False)

        return await self._database.read(count)
