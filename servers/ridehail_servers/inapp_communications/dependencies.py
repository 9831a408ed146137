"""Calls route_sharing."""

from __future__ import annotations

import grpc
from prometheus_client import Counter

from ridehail_clients import AsyncRouteSharingClient, TicketSource
from ridehail_kernel.deadline_budget import share_of_remaining
from ridehail_servers.chassis.dependency_calls import CallFailure, call_dependency
from ridehail_servers.chassis.logs import get_logger

# The time of the call is the limit, so that an attempt that hangs is not made again; one that fails at once is.
_ATTEMPT_S = 60.0

FAILURES = Counter("ridehail_inapp_sharing_failures", "Failed calls of route_sharing, by the reason.", ("reason",))

logger = get_logger(__name__)


class RouteSharing:
    """Looks up whom rides are shared with."""

    def __init__(self, channel: grpc.aio.Channel, *, ticket: TicketSource) -> None:
        self._client = AsyncRouteSharingClient(channel, ticket=ticket, attempt_timeout=_ATTEMPT_S)

    async def is_shared_with_family(self, sharing_key: str) -> bool | None:
        """Returns whether a ride is shared with the rider's family, or None without a response in time."""
        info = await call_dependency(
            self._client.get_sharing_info(sharing_key=sharing_key, timeout=share_of_remaining())
        )
        if not isinstance(info, CallFailure):
            return info.family is not None and info.family.sharing_on
        FAILURES.labels(info.reason).inc()
        logger.warning("route_sharing call failed", reason=info.reason, exc_info=info.error)
        return None
