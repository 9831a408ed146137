"""Performs calls: metadata, deadlines, repeats, errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Final, TypeVar

from google.protobuf.message import Message
from tenacity import AsyncRetrying

from ridehail_clients.calls.attempt import make_async_attempt
from ridehail_clients.calls.call_metadata import Credentials, Metadata, outgoing_metadata
from ridehail_clients.calls.call_time import CallTime
from ridehail_clients.calls.channel import AsyncChannel, AsyncUnaryMethod
from ridehail_clients.calls.failover import AsyncFailoverChannel
from ridehail_clients.calls.retry import RetryPolicy, may_repeat, retry_rules
from ridehail_clients.errors import ServiceError, TransportUnavailable
from ridehail_kernel.method_contracts import MethodContract

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)

_UNGUARDED: Final = nullcontext()


class AsyncTransport:
    """Performs the unary calls of one service, whose `contracts` are by the full name of the request message."""

    def __init__(
        self,
        contracts: Mapping[str, MethodContract],
        *,
        channel: AsyncChannel,
        credentials: Credentials,
        retry: RetryPolicy,
        attempt_timeout: float | None,
    ) -> None:
        self._contracts = contracts
        self._failover = channel if isinstance(channel, AsyncFailoverChannel) else None
        self._credentials = credentials
        self._retry = retry
        self._attempt_timeout = attempt_timeout
        self._open = True

    def end(self) -> None:
        """Makes no attempt from now on, because the channel is about to be closed."""
        self._open = False

    def is_open(self) -> bool:
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
        """Calls a method and returns its response.

        Args:
            method: Of the generated stub.
            request: What to send.
            timeout: Seconds for the whole call, repeats included, or None for the contract's deadline.
            metadata: Of this call; replaces what the client itself would send under the same name.
            attempt_timeout: Seconds for one attempt, unless the client has its own, or None for the contract's.

        Raises:
            ServiceError: The call failed; of the last attempt, where there were several.
        """
        contract = self._contracts[request.DESCRIPTOR.full_name]
        limit = attempt_timeout if self._attempt_timeout is None else self._attempt_timeout
        time = CallTime.begin(contract, timeout=timeout, attempt_timeout=limit)
        outgoing = outgoing_metadata(self._credentials, metadata)
        chosen: AsyncUnaryMethod[Request, Response] = method

        async def attempt() -> Response:
            nonlocal chosen
            seconds = time.for_attempt()
            try:
                # An attempt that has less time than the server may take shows nothing about the server.
                with self._guard(contract.path, time.fair_attempt if seconds >= time.fair_attempt else math.inf):
                    response = await make_async_attempt(
                        chosen, request, timeout=seconds, metadata=outgoing, is_open=self.is_open
                    )
            except ServiceError as error:
                if isinstance(error, TransportUnavailable):
                    # Where this attempt found no server, the next one looks among the others.
                    chosen = self._last_resort(contract.path, method) if chosen is method else method
                elif error.reason:
                    self._note_served()
                raise
            self._note_served()
            return response

        # Most calls need one attempt, for which tenacity would be half of the cost.
        first_failure: ServiceError | None = None
        try:
            return await attempt()
        except ServiceError as error:
            if not may_repeat(error, idempotent=contract.idempotent, is_open=self.is_open):
                raise
            first_failure = error

        async def attempt_again() -> Response:
            nonlocal first_failure
            if first_failure is not None:
                failure, first_failure = first_failure, None
                raise failure
            return await attempt()

        rules = retry_rules(self._retry, idempotent=contract.idempotent, time_left=time.left(), is_open=self.is_open)
        return await AsyncRetrying(**rules)(attempt_again)

    def _guard(self, path: str, fair_s: float) -> AbstractContextManager[None]:
        breakers = None if self._failover is None else self._failover.breakers
        return _UNGUARDED if breakers is None else breakers.of(path).attempt(fair_s=fair_s)

    def _last_resort(
        self, path: str, method: AsyncUnaryMethod[Request, Response]
    ) -> AsyncUnaryMethod[Request, Response]:
        if self._failover is None or not self._failover.has_served:
            return method
        return self._failover.last_resort[path]

    def _note_served(self) -> None:
        if self._failover is not None:
            self._failover.has_served = True
