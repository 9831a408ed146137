"""eulas, as far as api_proxy needs it: what it does not tell in time is left out, never an error."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

import grpc
from prometheus_client import Counter

from ridehail_clients import (
    AsyncEulasClient,
    Eula,
    EulaFilter,
    EulaState,
    RetryPolicy,
    ServiceError,
    TicketSource,
    call_context,
)
from ridehail_servers.chassis.logs import get_logger

from .config import Patience
from .locale_header import shortened

Answer = TypeVar("Answer")

# Of what is left of the call's time: the rest is for the answer without eulas.
_WAIT_SHARE = 0.8

FAILURES = Counter(
    "ridehail_api_proxy_eulas_failures", "Questions that eulas left unanswered, by the reason.", ("reason",)
)

logger = get_logger(__name__)


class _AnswerUnreadable(Exception):
    """eulas answered what its contract does not allow."""


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
        self, yandex_uid: str, eula_types: Sequence[str], *, patience: Patience
    ) -> Mapping[str, EulaState] | None:
        """Returns the rider's status with each of the types; None when it cannot be told.

        Args:
            yandex_uid: The rider.
            eula_types: The types, 1 to 100, each once.
            patience: How long eulas is waited for.
        """
        return await _answer_or_none(self._check(yandex_uid, eula_types, patience))

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

    async def _check(self, yandex_uid: str, eula_types: Sequence[str], patience: Patience) -> dict[str, EulaState]:
        answer = await self._client(patience).check_eulas(
            yandex_uid=yandex_uid, eula_types=eula_types, timeout=_time_for(patience)
        )
        statuses = {one.type: one.status for one in answer}
        if len(answer) != len(statuses) or statuses.keys() != set(eula_types):
            raise _AnswerUnreadable
        return statuses

    async def _list_unknown(self, yandex_uid: str, zone_name: str, locale: str, patience: Patience) -> Sequence[Eula]:
        answer = await self._client(patience).list_eulas(
            yandex_uid=yandex_uid,
            filter=EulaFilter.UNKNOWN,
            zone_name=zone_name,
            locale=shortened(locale),
            timeout=_time_for(patience),
        )
        if not all(one.eula_id and one.status is EulaState.UNKNOWN for one in answer):
            raise _AnswerUnreadable
        return answer

    def _make_client(self, patience: Patience) -> AsyncEulasClient:
        # Without pauses all of the time is for attempts, so that each can take as long as the configuration says.
        retry = RetryPolicy(attempts=patience.attempts, initial_backoff_s=0, max_backoff_s=0)
        return AsyncEulasClient(self._channel, ticket=self._ticket, retry=retry, attempt_timeout=patience.attempt_s)


async def _answer_or_none(question: Awaitable[Answer]) -> Answer | None:
    try:
        return await question
    except ServiceError as error:
        # The reasons of the catalogue are few; what another server calls its reason may be anything.
        _report(error.REASON or error.code.name)
    except _AnswerUnreadable:
        _report("UNREADABLE")
    except Exception as error:  # whatever garbage makes the client library do is no reason to fail the rider
        _report("UNEXPECTED", error)
    return None


def _report(reason: str, error: Exception | None = None) -> None:
    FAILURES.labels(reason).inc()
    logger.warning("eulas does not tell", reason=reason, exc_info=error)


def _time_for(patience: Patience) -> float:
    remaining = call_context.remaining()
    return patience.whole_s if remaining is None else min(patience.whole_s, remaining * _WAIT_SHARE)
