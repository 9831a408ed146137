"""Lists and checks agreements of users, and saves their decisions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.shared_reads import SharedReads

from .decision import Decision, valid_decisions
from .errors import IdsOrTypesRequired
from .eula_catalogue import EulaCatalogue, UserLocation
from .eula_filter import Filter, ListedEula, check_filter, filter_eulas
from .eula_save import NewDecision, accepted_decisions, refresh
from .eula_status import EulaCheck, EulaStatus
from .store import EulasStore

PASSENGER = "passenger"
"""The source of what users save with their own apps."""


class UserDecisions:
    """Reads and writes decisions; concurrent reads share their queries.

    Nothing is cached: a read's query begins after the read did, so it sees all that was saved before.
    """

    def __init__(self, database: Database, store: EulasStore) -> None:
        self._database = database
        self._store = store
        self._decisions = SharedReads(database, store.decisions_of)

    async def of_user(self, yandex_uid: str) -> Sequence[Decision]:
        """Returns a user's stored decisions, valid or not, one for each agreement."""
        return await self._decisions.get(yandex_uid) or []

    async def of_users(self, yandex_uids: Iterable[str]) -> Mapping[str, Sequence[Decision]]:
        """Returns the stored decisions of those of the users who have any, by a query of its own."""
        return await self._decisions.get_all(list(dict.fromkeys(yandex_uids)))

    async def save(
        self, yandex_uid: str, decisions: Sequence[Decision], *, source: str, catalogue_version: int | None = None
    ) -> None:
        """Stores and logs decisions, one for each agreement at most: all or none; see `EulasStore.save`."""
        async with self._database.connection() as connection:
            await self._store.save(connection, yandex_uid, decisions, source, catalogue_version)


class Agreements:
    """Applies the agreements in force to what users have decided."""

    def __init__(
        self,
        decisions: UserDecisions,
        *,
        catalogue: Callable[[], EulaCatalogue],
        required_types: Callable[[], Mapping[str, frozenset[str]]],
        clock: Clock,
    ) -> None:
        self._decisions = decisions
        self._catalogue = catalogue
        self._required_types = required_types  # by zone, those that tariffs require now
        self._clock = clock

    async def list_eulas(
        self, yandex_uid: str, wanted: Filter, location: UserLocation | None
    ) -> tuple[list[ListedEula], EulaCatalogue]:
        """Returns a user's agreements, see `check_filter` and `filter_eulas`, and the catalogue that they are of."""
        check_filter(wanted, location)
        stored = await self._decisions.of_user(yandex_uid)
        catalogue = self._catalogue()
        return filter_eulas(wanted, catalogue, valid_decisions(stored, catalogue, self._clock()), location), catalogue

    async def check_eulas(self, check: EulaCheck) -> list[EulaStatus]:
        """Returns a user's status with agreements or with types of them, see `EulaCheck.statuses`.

        Raises:
            IdsOrTypesRequired: Not exactly one of the two lists is given.
        """
        if not check.is_complete:
            raise IdsOrTypesRequired(["eula_ids"])
        stored = await self._decisions.of_user(check.yandex_uid)
        catalogue = self._catalogue()
        return check.statuses(catalogue, valid_decisions(stored, catalogue, self._clock()))

    async def check_many(self, checks: Sequence[EulaCheck]) -> list[list[EulaStatus]]:
        """Returns what `check_eulas` returns for each of many checks, in their order, by one query.

        Raises:
            IdsOrTypesRequired: A check does not have exactly one of the two lists.
        """
        if incomplete := [number for number, check in enumerate(checks) if not check.is_complete]:
            raise IdsOrTypesRequired([f"checks[{number}].eula_ids" for number in incomplete])
        stored = await self._decisions.of_users(check.yandex_uid for check in checks)
        catalogue, now = self._catalogue(), self._clock()
        valid = {uid: valid_decisions(decisions, catalogue, now) for uid, decisions in stored.items()}
        return [check.statuses(catalogue, valid.get(check.yandex_uid, {})) for check in checks]

    async def save_eulas(self, yandex_uid: str, batch: Sequence[NewDecision], *, source: str) -> list[str]:
        """Saves a user's decisions, all or none; returns what the app has to request again.

        Args:
            yandex_uid: The user.
            batch: See `accepted_decisions`.
            source: `PASSENGER`, or the service that saves them.
        """
        catalogue = self._catalogue()
        decisions = accepted_decisions(batch, catalogue, self._clock())
        await self._decisions.save(yandex_uid, decisions, source=source, catalogue_version=catalogue.version)
        saved = (catalogue.get(decision.eula_id) for decision in decisions)
        return refresh((eula for eula in saved if eula is not None), catalogue, self._required_types())
