"""A channel without a wire: calls go straight to a scripted server, and time is the test's own.

What a call is given (time, metadata, message) is exactly what the client gave it, so a test can compare it. Messages
are serialized on the way, as on a wire; what a wire does beside that, tests of a running server show.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc
import grpc.aio
from google.protobuf.message import Message

from tests.clients.scripted_server import ScriptedServer

Metadata = Sequence[tuple[str, str | bytes]]
Outcome = Message | grpc.RpcError


class MemoryChannel:
    """Takes the place of a channel of either flavour.

    Args:
        server: Who is called.
        is_async: Whether it is a channel for asyncio.
        latency: Returns how long the response to a request takes, in seconds; infinity: it never comes.
    """

    def __init__(
        self, server: ScriptedServer, *, is_async: bool, latency: Callable[[Message], float] = lambda _request: 0.0
    ) -> None:
        self._server = server
        self._is_async = is_async
        self._latency = latency

    def unary_unary(
        self,
        _path: str,
        request_serializer: Callable[[Message], bytes],
        response_deserializer: Callable[[bytes], Message],
        _registered_method: bool = False,
    ) -> Callable[..., Any]:
        """Returns a method of a service, as generated stubs ask for it."""

        def play(request: Message, attempt: _Attempt, *, is_late: bool) -> Outcome:
            received = type(request).FromString(request_serializer(request))
            try:
                response: Message = self._server.play(received, attempt, response_deserializer(b""))  # type: ignore[arg-type]
            except grpc.RpcError as error:
                outcome: Outcome = error
            else:
                outcome = response_deserializer(response.SerializeToString())
            return _error(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded") if is_late else outcome

        def call(request: Message, *, timeout: float, metadata: Metadata) -> Message:
            latency = self._latency(request)
            outcome = play(request, _Attempt(metadata, timeout), is_late=latency >= timeout)
            if latency:
                time.sleep(min(latency, timeout))
            return _of(outcome)

        async def async_call(request: Message, *, timeout: float, metadata: Metadata) -> Message:
            latency = self._latency(request)
            outcome = play(request, _Attempt(metadata, timeout), is_late=latency >= timeout)
            if latency:
                await asyncio.sleep(min(latency, timeout))
            return _of(outcome)

        return async_call if self._is_async else call


@dataclass
class _Attempt:
    """What scripts use of a `grpc.ServicerContext`."""

    metadata: Metadata
    timeout: float
    trailing: Metadata = ()

    def invocation_metadata(self) -> Metadata:
        return self.metadata

    def time_remaining(self) -> float:
        return self.timeout

    def set_trailing_metadata(self, trailing: Metadata) -> None:
        self.trailing = trailing

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        raise _error(code, details, self.trailing)


def _error(code: grpc.StatusCode, details: str, trailing: Metadata = ()) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailing), details=details)


def _of(outcome: Outcome) -> Message:
    if isinstance(outcome, grpc.RpcError):
        raise outcome
    return outcome
