"""Lists and checks agreements of users, and saves their answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from ridehail_servers.chassis.clock import Clock

from .answers import Answer, decide
from .decision import Decision, valid_decisions
from .errors import NotOneQuestion
from .eula_catalogue import EulaCatalogue, Whereabouts
from .eula_filter import Filter, ListedEula, check_filter, list_eulas
from .refresh import refresh
from .type_status import Standing, standing_of_eula, standing_of_type

PASSENGER = "passenger"
"""The source of what users save with their own apps."""


class Decisions(Protocol):
    """Keeps what users have decided."""

    async def of_user(self, yandex_uid: str) -> Sequence[Decision]:
        """Returns a user's decisions, valid or not, as of some moment after the call began."""

    async def save(self, yandex_uid: str, decisions: Sequence[Decision], *, source: str) -> None:
        """Stores and logs decisions, all or none."""


class Agreements:
    """Applies the present configuration to what users have decided."""

    def __init__(
        self,
        decisions: Decisions,
        *,
        catalogue: Callable[[], EulaCatalogue],
        required_types: Callable[[], Mapping[str, frozenset[str]]],
        clock: Clock,
    ) -> None:
        """Takes what it needs.

        Args:
            decisions: Keeps decisions.
            catalogue: Returns what is configured now.
            required_types: Returns, by zone, the types that tariffs require now.
            clock: Tells the time.
        """
        self._decisions = decisions
        self._catalogue = catalogue
        self._required_types = required_types
        self._clock = clock

    async def listed(self, yandex_uid: str, wanted: Filter, whereabouts: Whereabouts | None) -> list[ListedEula]:
        """Returns a user's agreements.

        Args:
            yandex_uid: The user.
            wanted: Which.
            whereabouts: Where the user is; None: not told.

        Raises:
            ZoneNameMissing: The filter needs to know where.
        """
        check_filter(wanted, whereabouts)
        catalogue, decisions = await self._state_of(yandex_uid)
        return list_eulas(wanted, catalogue, decisions, whereabouts)

    async def standings(
        self, yandex_uid: str, eula_ids: Sequence[str], eula_types: Sequence[str], *, zone_name: str | None
    ) -> list[Standing]:
        """Returns where a user stands with agreements, or with types of them: one answer for each, in their order.

        Args:
            yandex_uid: The user.
            eula_ids: The agreements ...
            eula_types: ... or the types.
            zone_name: Where the types are judged, or None: all their agreements count.

        Raises:
            NotOneQuestion: Not exactly one of the two is given.
        """
        if bool(eula_ids) == bool(eula_types):
            raise NotOneQuestion
        catalogue, decisions = await self._state_of(yandex_uid)
        if eula_ids:
            return [standing_of_eula(eula_id, catalogue, decisions) for eula_id in dict.fromkeys(eula_ids)]
        return [standing_of_type(one, catalogue, decisions, zone_name) for one in dict.fromkeys(eula_types)]

    async def save(self, yandex_uid: str, answers: Sequence[Answer], *, source: str) -> list[str]:
        """Saves a user's answers, all or none.

        Args:
            yandex_uid: The user.
            answers: In the order in which they were given.
            source: Who saves them: `PASSENGER`, or a service.

        Returns:
            What the app should ask again.

        Raises:
            EulaNotFound: See `answers.decide`.
            EulaNotRejectable: See `answers.decide`.
        """
        catalogue = self._catalogue()
        decisions = decide(answers, catalogue, self._clock())
        await self._decisions.save(yandex_uid, decisions, source=source)
        answered = (catalogue.get(decision.eula_id) for decision in decisions)
        return refresh((eula for eula in answered if eula is not None), catalogue, self._required_types())

    async def _state_of(self, yandex_uid: str) -> tuple[EulaCatalogue, Mapping[str, Decision]]:
        stored = await self._decisions.of_user(yandex_uid)
        catalogue = self._catalogue()
        return catalogue, valid_decisions(stored, catalogue, self._clock())
