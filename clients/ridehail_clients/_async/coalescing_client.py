"""The base of clients whose calls about single keys can share calls of batch methods."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from ridehail_clients._async.service_client import AsyncInternalClient
from ridehail_clients._async.shared_calls import AsyncSharedCalls, BatchMessages
from ridehail_clients.calls.channel import AsyncChannel, AsyncUnaryMethod
from ridehail_clients.calls.retry import RetryPolicy
from ridehail_clients.calls.tickets import TicketSource
from ridehail_kernel.method_contracts import method_contract

Key = TypeVar("Key", bound=Hashable)
Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)
Found = TypeVar("Found")
Result = TypeVar("Result")


class AsyncCoalescingClient(AsyncInternalClient):
    """Base of the clients of services that have batch methods.

    Args:
        target_or_channel: Where the service is, or a channel to it. `close` leaves a given channel open.
        ticket: Where service tickets come from, or None to send none.
        channel_credentials: For TLS, if the client opens the channel, or None for plain text.
        retry: How often and how soon a call that is safe to repeat is repeated.
        attempt_timeout: Seconds for one attempt, or None for each method's own, from its contract.
        coalesce: Whether calls about single keys that are made at the same time share calls of the batch method, which
            costs server and client a fraction; for clients that make many. Each keeps its own timeout and may be
            cancelled by itself; a call with `metadata` of its own goes alone. Shared calls carry no request id.
    """

    def __init__(
        self,
        target_or_channel: str | AsyncChannel,
        *,
        ticket: TicketSource | None = None,
        channel_credentials: grpc.ChannelCredentials | None = None,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008  # frozen
        attempt_timeout: float | None = None,
        coalesce: bool = False,
    ) -> None:
        self._coalesce = coalesce
        self._retry = retry
        self._attempt_timeout = attempt_timeout
        self._shared_calls: list[AsyncSharedCalls[Any, Any, Any, Any, Any]] = []  # of any messages
        super().__init__(
            target_or_channel,
            ticket=ticket,
            channel_credentials=channel_credentials,
            retry=retry,
            attempt_timeout=attempt_timeout,
        )

    async def close(self) -> None:
        """Closes the channel, if the client opened it. Calls under way are cancelled, also those that share batches."""
        for shared in self._shared_calls:
            await shared.close()
        await super().close()

    def _share(
        self,
        single: str,
        method: AsyncUnaryMethod[Request, Response],
        messages: BatchMessages[Key, Request, Response, Found, Result],
    ) -> AsyncSharedCalls[Key, Request, Response, Found, Result] | None:
        """Lets calls of the method named `single` share calls of a batch method, or returns None if they must not."""
        if not self._coalesce:
            return None
        # The limits of a single call: a hundred keys take the server about as long as one.
        contract = method_contract(self.service.methods_by_name[single])
        own_limit = 0.0 if self._attempt_timeout is None else self._attempt_timeout * self._retry.attempts
        shared = AsyncSharedCalls(
            self._transport, method, messages, single=contract, timeout=max(contract.deadline, own_limit)
        )
        self._shared_calls.append(shared)
        return shared
