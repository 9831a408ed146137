"""eulas, as far as api_proxy needs it: what it does not tell in time is left out, never an error."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from functools import lru_cache

import grpc
from prometheus_client import Counter

from ridehail_clients import (
    AsyncEulasClient,
    Eula,
    EulaFilter,
    EulaState,
    RetryPolicy,
    TicketSource,
)
from ridehail_kernel.deadline_budget import share_of_remaining
from ridehail_servers.chassis.dependency_calls import CallFailure, Response, ResponseUnreadable, call_dependency
from ridehail_servers.chassis.logs import get_logger

from .config import Patience
from .locale_header import shortened

FAILURES = Counter(
    "ridehail_api_proxy_eulas_failures", "Questions that eulas left unanswered, by the reason.", ("reason",)
)

logger = get_logger(__name__)


class Eulas:
    """Asks eulas, for as long as the configuration says.

    Args:
        channel: To eulas.
        ticket: Makes tickets of this service.
    """

    def __init__(self, channel: grpc.aio.Channel, *, ticket: TicketSource) -> None:
        self._channel = channel
        self._ticket = ticket
        # The configuration changes while calls are made; a client keeps what it was made with.
        self._client = lru_cache(maxsize=1)(self._make_client)

    async def statuses_of(
        self, yandex_uid: str, eula_types: Sequence[str], *, zone_name: str, patience: Patience
    ) -> Mapping[str, EulaState] | None:
        """Returns the rider's status with each of the types in the zone; None when it cannot be told.

        Args:
            yandex_uid: The rider.
            eula_types: The types, 1 to 100, each once.
            zone_name: Only agreements that apply there count.
            patience: How long eulas is waited for.
        """
        return await _answer_or_none(self._check(yandex_uid, eula_types, zone_name, patience))

    async def unanswered(
        self, yandex_uid: str, *, zone_name: str, locale: str, patience: Patience
    ) -> Sequence[Eula] | None:
        """Returns the zone's agreements that the rider has not answered; None when they cannot be told.

        Args:
            yandex_uid: The rider.
            zone_name: The zone.
            locale: The languages for titles and texts, as in the header Accept-Language; may be empty.
            patience: How long eulas is waited for.
        """
        return await _answer_or_none(self._list_unknown(yandex_uid, zone_name, locale, patience))

    async def accepted(self, yandex_uid: str, *, patience: Patience) -> Sequence[str] | None:
        """Returns the ids of the agreements that the rider has accepted; None when they cannot be told.

        Args:
            yandex_uid: The rider.
            patience: How long eulas is waited for.
        """
        return await _answer_or_none(self._list_accepted(yandex_uid, patience))

    async def _check(
        self, yandex_uid: str, eula_types: Sequence[str], zone_name: str, patience: Patience
    ) -> dict[str, EulaState]:
        answer = await self._client(patience).check_eulas(
            yandex_uid=yandex_uid,
            eula_types=eula_types,
            zone_name=zone_name,
            timeout=share_of_remaining(at_most=patience.whole_s),
        )
        statuses = {one.type: one.status for one in answer}
        if len(answer) != len(statuses) or statuses.keys() != set(eula_types):
            raise ResponseUnreadable
        return statuses

    async def _list_unknown(self, yandex_uid: str, zone_name: str, locale: str, patience: Patience) -> Sequence[Eula]:
        answer = await self._client(patience).list_eulas(
            yandex_uid=yandex_uid,
            filter=EulaFilter.UNKNOWN,
            zone_name=zone_name,
            locale=shortened(locale),
            timeout=share_of_remaining(at_most=patience.whole_s),
        )
        if not all(one.eula_id and one.status is EulaState.UNKNOWN for one in answer):
            raise ResponseUnreadable
        return answer

    async def _list_accepted(self, yandex_uid: str, patience: Patience) -> Sequence[str]:
        answer = await self._client(patience).list_eulas(
            yandex_uid=yandex_uid, filter=EulaFilter.ACCEPTED, timeout=share_of_remaining(at_most=patience.whole_s)
        )
        if not all(one.eula_id and one.status is EulaState.ACCEPTED for one in answer):
            raise ResponseUnreadable
        return [one.eula_id for one in answer]

    def _make_client(self, patience: Patience) -> AsyncEulasClient:
        # Without pauses all of the time is for attempts, so that each can take as long as the configuration says.
        retry = RetryPolicy(attempts=patience.attempts, initial_backoff_s=0, max_backoff_s=0)
        return AsyncEulasClient(self._channel, ticket=self._ticket, retry=retry, attempt_timeout=patience.attempt_s)


async def _answer_or_none(question: Awaitable[Response]) -> Response | None:
    answer = await call_dependency(question)
    if not isinstance(answer, CallFailure):
        return answer
    FAILURES.labels(answer.reason).inc()
    logger.warning("eulas does not tell", reason=answer.reason, exc_info=answer.error)
    return None
