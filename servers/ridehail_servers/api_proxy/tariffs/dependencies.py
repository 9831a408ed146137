"""Calls to eulas; what it does not return in time is left out, never an error."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

import grpc

from ridehail_clients import AsyncEulasClient, Eula, EulaFilter, EulaState, RetryPolicy, TicketSource
from ridehail_kernel.deadline_budget import share_of_remaining
from ridehail_servers.chassis.dependency_calls import CallFailure, ResponseUnreadable, call_dependency
from ridehail_servers.chassis.logs import get_logger

from .config import TariffsConfig
from .metrics import FAILURES

Response = TypeVar("Response")

logger = get_logger(__name__)


class Eulas:
    """Calls eulas, as long as the configuration allows. Every method returns None if eulas is off or the call fails."""

    def __init__(self, channel: grpc.aio.Channel, *, ticket: TicketSource, config: Callable[[], TariffsConfig]) -> None:
        self._channel = channel
        self._ticket = ticket
        self._config = config
        # The configuration changes while calls are made; a client keeps the settings that it was created with.
        self._client = lru_cache(maxsize=1)(self._create_client)

    async def get_statuses(
        self, yandex_uid: str, eula_types: Sequence[str], *, zone_name: str
    ) -> Mapping[str, EulaState] | None:
        """Returns the rider's status with each of the types, by agreements that apply in the zone.

        Args:
            yandex_uid: The rider.
            eula_types: The types, 1 to 100, each once.
            zone_name: The zone.
        """

        async def call(client: AsyncEulasClient, timeout: float) -> Mapping[str, EulaState]:
            eulas = await client.check_eulas(
                yandex_uid=yandex_uid, eula_types=eula_types, zone_name=zone_name, timeout=timeout
            )
            statuses = {eula.type: eula.status for eula in eulas}
            if len(eulas) != len(statuses) or statuses.keys() != set(eula_types):
                raise ResponseUnreadable
            return statuses

        return await self._call(call)

    async def list_unanswered(self, yandex_uid: str, *, zone_name: str, locale: str) -> Sequence[Eula] | None:
        """Returns the zone's agreements that the rider has not answered.

        Args:
            yandex_uid: The rider.
            zone_name: The zone.
            locale: Languages for titles and texts, as in the header Accept-Language, at most 256 characters.
        """

        async def call(client: AsyncEulasClient, timeout: float) -> Sequence[Eula]:
            eulas = await client.list_eulas(
                yandex_uid=yandex_uid, filter=EulaFilter.UNKNOWN, zone_name=zone_name, locale=locale, timeout=timeout
            )
            return _require_status(eulas, EulaState.UNKNOWN)

        return await self._call(call)

    async def list_accepted_ids(self, yandex_uid: str) -> Sequence[str] | None:
        """Returns the ids of the agreements that the rider has accepted."""

        async def call(client: AsyncEulasClient, timeout: float) -> Sequence[str]:
            eulas = await client.list_eulas(yandex_uid=yandex_uid, filter=EulaFilter.ACCEPTED, timeout=timeout)
            return [eula.eula_id for eula in _require_status(eulas, EulaState.ACCEPTED)]

        return await self._call(call)

    async def _call(self, call: Callable[[AsyncEulasClient, float], Awaitable[Response]]) -> Response | None:
        config = self._config()
        if not config.eulas_service_enabled:
            return None
        attempt_s, attempts = config.eulas_timeout_ms / 1000, config.eulas_retries + 1
        timeout = share_of_remaining(at_most=attempt_s * attempts)
        response = await call_dependency(call(self._client(attempt_s, attempts), timeout))
        if not isinstance(response, CallFailure):
            return response
        FAILURES.labels(response.reason).inc()
        logger.warning("eulas does not tell", reason=response.reason, exc_info=response.error)
        return None

    def _create_client(self, attempt_s: float, attempts: int) -> AsyncEulasClient:
        # Without pauses all of the time is for attempts, so that each can take as long as the configuration says.
        retry = RetryPolicy(attempts=attempts, initial_backoff_s=0, max_backoff_s=0)
        return AsyncEulasClient(self._channel, ticket=self._ticket, retry=retry, attempt_timeout=attempt_s)


def _require_status(eulas: Sequence[Eula], status: EulaState) -> Sequence[Eula]:
    if not all(eula.eula_id and eula.status is status for eula in eulas):
        raise ResponseUnreadable
    return eulas
