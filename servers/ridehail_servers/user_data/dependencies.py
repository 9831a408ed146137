"""Calls the services that keep users' data."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import Final, TypeVar

import grpc

from ridehail_clients import AsyncUserDataClient, TicketSource, UserIdentifiers, UserRecords
from ridehail_servers.chassis.dependency_calls import CallFailure, call_dependency
from ridehail_servers.chassis.errors import DependencyUnavailable
from ridehail_servers.chassis.logs import get_logger
from ridehail_servers.chassis.user_data import LISTED_AT_ONCE

from .erasure import Identifiers, ServiceSurvey
from .errors import BadPageToken
from .metrics import FAILURES

# The contract takes as many of a user's phones and orders with one call.
_PHONES_AT_ONCE: Final = 100
_MAX_CALLS: Final = 1_000

Response = TypeVar("Response")

logger = get_logger(__name__)


class ServiceFailed(Exception):
    """A service did not do its part; `reason` is one of the catalogue or the name of a status code."""

    def __init__(self, service: str, reason: str) -> None:
        super().__init__(f"{service}: {reason}")
        self.service = service
        self.reason = reason


class DataServices:
    """All services that keep users' data."""

    def __init__(self, channels: Mapping[str, grpc.aio.Channel], *, ticket: TicketSource) -> None:
        self._clients = {
            name: AsyncUserDataClient(channel, service=name, ticket=ticket) for name, channel in channels.items()
        }

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._clients)

    async def survey(self, service: str, user: Identifiers) -> ServiceSurvey:
        """Searches a service for all that it has of a user.

        Raises:
            ServiceFailed: See the class.
        """
        counts: dict[str, int] = {}
        phones: set[str] = set()
        orders: set[str] = set()
        is_active, pending = False, 0
        client = self._clients[service]
        for part in _requests(user):
            found = await self._answered(service, client.find_user_data(user=part))
            for one in found.found:
                # Parts name the same account, so they find the same rows by it.
                counts[one.kind] = max(counts.get(one.kind, 0), one.records)
            is_active, pending = is_active or found.has_active_orders, pending + found.pending
            phones.update(found.phone_ids)
            orders.update(found.order_ids)
        after = found.order_ids[-1] if len(found.order_ids) == LISTED_AT_ONCE else ""
        while after:
            found = await self._answered(service, client.find_user_data(user=part, after_order_id=after))
            orders.update(found.order_ids)
            after = found.order_ids[-1] if len(found.order_ids) == LISTED_AT_ONCE else ""
        return ServiceSurvey(counts, is_active, pending, frozenset(phones), frozenset(orders))

    async def erase(self, service: str, user: Identifiers) -> AsyncIterator[dict[str, int]]:
        """Erases what a service has of a user; yields the counts of each transaction, by kind.

        Raises:
            ServiceFailed: See the class; what was yielded is erased.
        """
        for part in _requests(user):
            # What comes in faster than it is erased is left to the next pass.
            for _ in range(_MAX_CALLS):
                response = await self._answered(service, self._clients[service].erase_user_data(user=part))
                erased = {one.kind: one.records for one in response.erased}
                if not erased:
                    break
                yield erased

    async def page(self, service: str, user: Identifiers, page_token: str) -> UserRecords:
        """Returns a page of a user's records. Of a user with very many orders it finds those that name the account.

        Raises:
            BadPageToken: The token is none of the service.
            DependencyUnavailable: The service does not respond.
        """
        part = _requests(user)[0]
        try:
            return await self._answered(
                service, self._clients[service].export_user_data(user=part, page_token=page_token)
            )
        except ServiceFailed as failure:
            if failure.reason == "INVALID_REQUEST":
                raise BadPageToken from failure
            raise DependencyUnavailable(service) from failure

    async def _answered(self, service: str, call: Awaitable[Response]) -> Response:
        response = await call_dependency(call)
        if not isinstance(response, CallFailure):
            return response
        FAILURES.labels(service, response.reason).inc()
        logger.warning("service failed", dependency=service, reason=response.reason, exc_info=response.error)
        raise ServiceFailed(service, response.reason) from response.error


def _requests(user: Identifiers) -> list[UserIdentifiers]:
    """Returns the identifiers in parts that requests can hold; each names the account."""
    phones, orders = sorted(user.phone_ids), sorted(user.order_ids)
    parts = max(1, -(-len(phones) // _PHONES_AT_ONCE), -(-len(orders) // LISTED_AT_ONCE))
    return [
        UserIdentifiers(
            user.yandex_uid,
            tuple(phones[part * _PHONES_AT_ONCE : (part + 1) * _PHONES_AT_ONCE]),
            tuple(orders[part * LISTED_AT_ONCE : (part + 1) * LISTED_AT_ONCE]),
        )
        for part in range(parts)
    ]
