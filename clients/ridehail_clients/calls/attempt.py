"""One attempt of a call, on an asyncio or on a blocking channel: whatever goes wrong is a `ServiceError`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import grpc
from google.protobuf.message import Message

from ridehail_clients.calls.channel import AsyncUnaryMethod, SyncUnaryMethod
from ridehail_clients.calls.error_conversion import service_error
from ridehail_clients.errors import ClientClosed, ServiceError

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)


def client_closed() -> ClientClosed:
    """Returns the error of a call that the closing of its client ended or prevented."""
    return ClientClosed(grpc.StatusCode.CANCELLED, message="the client is closed")


def caller_is_cancelled() -> bool:
    """Returns whether the running task itself was cancelled, rather than something that it waits for."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


async def make_async_attempt(
    method: AsyncUnaryMethod[Request, Response],
    request: Request,
    *,
    timeout: float,
    metadata: tuple[tuple[str, str], ...],
    is_open: Callable[[], bool],
) -> Response:
    """Calls a method once, while `is_open` says that the client is open; any failure is a `ServiceError`."""
    if not is_open():
        raise client_closed()
    try:
        response: Response | None = await method(request, timeout=timeout, metadata=metadata)
    except grpc.RpcError as error:
        raise service_error(error) from error
    except asyncio.CancelledError:
        # A channel that is closed cancels its calls, which grpc.aio reports as if their callers had been cancelled.
        if caller_is_cancelled():
            raise
        raise client_closed() from None
    if response is None:
        # grpc.aio returns None for a response that is no such message; a blocking channel raises this error itself.
        raise ServiceError(grpc.StatusCode.INTERNAL, message="the response cannot be read")
    return response


def make_sync_attempt(
    method: SyncUnaryMethod[Request, Response],
    request: Request,
    *,
    timeout: float,
    metadata: tuple[tuple[str, str], ...],
    is_open: Callable[[], bool],
) -> Response:
    """Calls a method once, while `is_open` says that the client is open; any failure is a `ServiceError`."""
    if not is_open():
        raise client_closed()
    try:
        return method(request, timeout=timeout, metadata=metadata)
    except grpc.RpcError as error:
        ended_here = error.code() is grpc.StatusCode.CANCELLED and not is_open()
        raise (client_closed() if ended_here else service_error(error)) from error
    except ValueError:
        # What grpc raises for a call on a closed channel; the channel may have been closed since it was looked at.
        if is_open():
            raise
        raise client_closed() from None
