"""Performs calls: metadata, deadlines, repeats, errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from google.protobuf.message import Message
from tenacity import AsyncRetrying

from ridehail_clients.attempt import make_async_attempt
from ridehail_clients.call_metadata import Credentials, Metadata, outgoing_metadata
from ridehail_clients.call_time import CallTime
from ridehail_clients.channel import AsyncUnaryMethod
from ridehail_clients.contract import MethodContract
from ridehail_clients.retry import RetryPolicy, retry_rules

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)


class AsyncTransport:
    """Performs the unary calls of one service.

    Args:
        contracts: Of the service's methods, by the full name of the request message.
        credentials: Tell the server who calls.
        retry: How often and how soon a call that is safe to repeat is repeated.
        attempt_timeout: Seconds for one attempt; None: each method's own, from its contract.
    """

    def __init__(
        self,
        contracts: Mapping[str, MethodContract],
        *,
        credentials: Credentials,
        retry: RetryPolicy,
        attempt_timeout: float | None,
    ) -> None:
        self._contracts = contracts
        self._credentials = credentials
        self._retry = retry
        self._attempt_timeout = attempt_timeout
        self._open = True

    def end(self) -> None:
        """Makes no attempt from now on, because the channel is about to be closed."""
        self._open = False

    def is_open(self) -> bool:
        """Tells whether attempts are still made."""
        return self._open

    async def call(
        self,
        method: AsyncUnaryMethod[Request, Response],
        request: Request,
        *,
        timeout: float | None,
        metadata: Metadata,
        attempt_timeout: float | None = None,
    ) -> Response:
        """Calls a method and returns its answer.

        Args:
            method: Of the generated stub.
            request: What to send.
            timeout: Seconds for the whole call, repeats included; None: the contract's deadline.
            metadata: To send along; replaces what the client itself would send under the same name.
            attempt_timeout: Seconds for one attempt, unless the client was given its own; None: the contract's.

        Raises:
            ServiceError: The call failed; of the last attempt, where there were several.
        """
        contract = self._contracts[request.DESCRIPTOR.full_name]
        limit = attempt_timeout if self._attempt_timeout is None else self._attempt_timeout
        time = CallTime.begin(contract, timeout=timeout, attempt_timeout=limit)
        outgoing = outgoing_metadata(self._credentials, metadata)

        async def attempt() -> Response:
            return await make_async_attempt(
                method, request, timeout=time.for_attempt(), metadata=outgoing, is_open=self.is_open
            )

        rules = retry_rules(self._retry, idempotent=contract.idempotent, time_left=time.left(), is_open=self.is_open)
        return await AsyncRetrying(**rules)(attempt)
