"""What all clients have in common: they own or borrow a channel."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import grpc
from google.protobuf.descriptor import ServiceDescriptor

from ridehail.common.v1 import options_pb2
from ridehail_clients._async.transport import AsyncTransport
from ridehail_clients.call_metadata import Credentials
from ridehail_clients.channel import AsyncChannel, open_async_channel
from ridehail_clients.contract import contracts_by_request, service_audience
from ridehail_clients.retry import RetryPolicy


class AsyncServiceClient:
    """Base of the clients.

    Args:
        target_or_channel: Where the service is, or a channel to it. A channel that is given stays open on `close`.
        service: Descriptor of the service.
        credentials: Tell the server who calls.
        channel_credentials: For TLS, when the client makes the channel; None: plain text.
        retry: How often and how soon a call that is safe to repeat is repeated.
        attempt_timeout: Seconds for one attempt; None: each method's own, from its contract.
    """

    def __init__(
        self,
        target_or_channel: str | AsyncChannel,
        service: ServiceDescriptor,
        *,
        credentials: Credentials,
        channel_credentials: grpc.ChannelCredentials | None,
        retry: RetryPolicy,
        attempt_timeout: float | None,
    ) -> None:
        self._owns_channel = isinstance(target_or_channel, str)
        if isinstance(target_or_channel, str):
            # Passengers' calls go through the gateway, which does not pass health checks on.
            health_check = service_audience(service) == options_pb2.AUDIENCE_INTERNAL
            self._channel = open_async_channel(
                target_or_channel, credentials=channel_credentials, health_check=health_check
            )
        else:
            self._channel = target_or_channel
        self._transport = AsyncTransport(
            contracts_by_request(service), credentials=credentials, retry=retry, attempt_timeout=attempt_timeout
        )

    async def close(self) -> None:
        """Closes the channel, if the client made it. Calls under way are cancelled."""
        if self._owns_channel:
            self._transport.end()
            await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
