"""What all clients have in common: they own or borrow a channel."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import ClassVar, Self

import grpc
from google.protobuf.descriptor import ServiceDescriptor

from ridehail.common.v1 import options_pb2
from ridehail_clients._async.transport import AsyncTransport, Request, Response
from ridehail_clients.calls.call_metadata import Credentials, Metadata, session_credentials, ticket_credentials
from ridehail_clients.calls.channel import AsyncChannel, AsyncUnaryMethod, open_async_channel
from ridehail_clients.calls.retry import RetryPolicy
from ridehail_clients.calls.tickets import TicketSource
from ridehail_kernel.method_contracts import contracts_by_request, service_audience


class AsyncServiceClient(ABC):
    """Base of all clients.

    Attributes:
        service_name: The service of the suite that is called, as tickets name it ("toll-roads").
        service: Descriptor of the gRPC service.
    """

    service_name: str
    service: ClassVar[ServiceDescriptor]

    def __init__(
        self,
        target_or_channel: str | AsyncChannel,
        *,
        credentials: Credentials,
        channel_credentials: grpc.ChannelCredentials | None,
        retry: RetryPolicy,
        attempt_timeout: float | None,
    ) -> None:
        self._owns_channel = isinstance(target_or_channel, str)
        if isinstance(target_or_channel, str):
            # Passengers' calls go through the gateway, which does not pass health checks on.
            health_check = service_audience(self.service) == options_pb2.AUDIENCE_INTERNAL
            self._channel = open_async_channel(
                target_or_channel, credentials=channel_credentials, health_check=health_check
            )
        else:
            self._channel = target_or_channel
        self._transport = AsyncTransport(
            contracts_by_request(self.service),
            channel=self._channel,
            credentials=credentials,
            retry=retry,
            attempt_timeout=attempt_timeout,
        )
        self._connect()

    @abstractmethod
    def _connect(self) -> None:
        """Creates the generated stub on the channel."""

    async def call(
        self,
        method: AsyncUnaryMethod[Request, Response],
        request: Request,
        *,
        timeout: float | None = None,
        metadata: Metadata = (),
    ) -> Response:
        """Calls a method with the contract's messages, for callers that pass them on as they are.

        Args:
            method: Of the generated stub of this client's service, on this client's channel.
            request: The request message.
            timeout: Seconds for the whole call, repeats included, or None for the contract's deadline.
            metadata: Further metadata of the call.

        Returns:
            The response message. Nothing of it has been checked.

        Raises:
            ServiceError: The call failed.
        """
        return await self._transport.call(method, request, timeout=timeout, metadata=metadata)

    async def close(self) -> None:
        """Closes the channel, if the client opened it. Calls under way are cancelled."""
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


class AsyncInternalClient(AsyncServiceClient):
    """Base of the clients that services use.

    Args:
        target_or_channel: Where the service is, or a channel to it. `close` leaves a given channel open.
        ticket: Where service tickets come from, or None to send none.
        channel_credentials: For TLS, if the client opens the channel, or None for plain text.
        retry: How often and how soon a call that is safe to repeat is repeated.
        attempt_timeout: Seconds for one attempt, or None for each method's own, from its contract.
    """

    def __init__(
        self,
        target_or_channel: str | AsyncChannel,
        *,
        ticket: TicketSource | None = None,
        channel_credentials: grpc.ChannelCredentials | None = None,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008  # frozen
        attempt_timeout: float | None = None,
    ) -> None:
        super().__init__(
            target_or_channel,
            credentials=ticket_credentials(ticket, self.service_name),
            channel_credentials=channel_credentials,
            retry=retry,
            attempt_timeout=attempt_timeout,
        )


class AsyncPassengerClient(AsyncServiceClient):
    """Base of the clients that act for a passenger, through the gateway.

    Args:
        target_or_channel: Where the gateway is, or a channel to it. `close` leaves a given channel open.
        session_token: Of the passenger, or None to send none.
        channel_credentials: For TLS, if the client opens the channel, or None for plain text.
        retry: How often and how soon a call that is safe to repeat is repeated.
        attempt_timeout: Seconds for one attempt, or None for each method's own, from its contract.
    """

    def __init__(
        self,
        target_or_channel: str | AsyncChannel,
        *,
        session_token: str | None = None,
        channel_credentials: grpc.ChannelCredentials | None = None,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008  # frozen
        attempt_timeout: float | None = None,
    ) -> None:
        super().__init__(
            target_or_channel,
            credentials=session_credentials(session_token),
            channel_credentials=channel_credentials,
            retry=retry,
            attempt_timeout=attempt_timeout,
        )


class AsyncNamedServiceClient(AsyncInternalClient):
    """Base of the clients of a contract that several services serve.

    Args:
        target_or_channel: Where the service is, or a channel to it. `close` leaves a given channel open.
        service: Which of the services, as tickets name it ("eats-orders").
        ticket: Where service tickets come from, or None to send none.
        channel_credentials: For TLS, if the client opens the channel, or None for plain text.
        retry: How often and how soon a call that is safe to repeat is repeated.
        attempt_timeout: Seconds for one attempt, or None for each method's own, from its contract.
    """

    def __init__(
        self,
        target_or_channel: str | AsyncChannel,
        *,
        service: str,
        ticket: TicketSource | None = None,
        channel_credentials: grpc.ChannelCredentials | None = None,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008  # frozen
        attempt_timeout: float | None = None,
    ) -> None:
        # The base requests the ticket for this destination.
        self.service_name = service
        super().__init__(
            target_or_channel,
            ticket=ticket,
            channel_credentials=channel_credentials,
            retry=retry,
            attempt_timeout=attempt_timeout,
        )
