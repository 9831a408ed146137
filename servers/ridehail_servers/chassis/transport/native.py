"""HTTP/2 by h2corn, which does it in Rust, outside of Python's lock; what is gRPC's is done here.

h2corn serves ASGI: each call is a task of ours, which it cancels when the client resets the call or vanishes. It bounds
what a client can make it keep: headers, bodies, windows, and the time that bodies and responses may stand still.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import grpc

from ridehail_servers.chassis.logs import get_logger
from ridehail_servers.chassis.settings import ServerTuning

from . import wire
from .base import MethodHandlers, RpcHandler, Transport
from .limits import KEEPALIVE_MS, KEEPALIVE_TIMEOUT_MS, MAX_METADATA_BYTES
from .native_call import Event, NativeCall, Receive, Send, StreamBroken

logger = get_logger(__name__)

_MAX_STREAMS = 1024
_MAX_BODY_SHARE = 4
_BACKLOG = 1024
_STALLED_S = 60.0
# h2corn closes connections on which nothing happens: also those of peers that vanished without a word.
_IDLE_CONNECTION_S = 3600.0
_CONNECTION_WINDOW_BYTES = 8 * 1024 * 1024
# By then h2corn itself would cut what is left, which has been cut here before.
_LAST_CUT_S = 5.0
# Who reads nothing does not learn that the server stops.
_LAST_WORD_S = 0.1
_KEEPALIVE_PROBES = 2


class NativeTransport(Transport):
    def __init__(self, tuning: ServerTuning) -> None:
        self._max_bytes = tuning.max_message_bytes
        self._longest_drain_s = tuning.drain_grace_s + _LAST_CUT_S
        self._handlers: dict[str, Callable[[NativeCall], RpcHandler | None]] = {}
        self._calls: dict[asyncio.Task[Any], NativeCall] = {}
        self._stopping = False
        self._cutting = False

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Does nothing: generated code registers the same handlers by method as well."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, RpcHandler]) -> None:
        for name, handler in handlers.items():
            self._handlers[f"/{service}/{name}"] = partial(_always, handler)

    async def start(self, address: str, handlers: MethodHandlers) -> int:
        library: Any = importlib.import_module("h2corn")  # not everybody has it
        for path in handlers.paths:
            self._handlers[path] = _chooser(handlers, path)
        self._loop = asyncio.get_running_loop()
        self._listener = _listening(address)
        self._server = library.Server(self._serve, self._config(library, self._listener.fileno()))
        with _threads_that_wait():
            self._serving = asyncio.create_task(self._server.serve())
            self._serving.add_done_callback(self._check_end)
            await self._server.wait_started()
        return int(self._listener.getsockname()[1])

    async def stop(self, grace_s: float, *, idle: Callable[[], Awaitable[object]]) -> None:
        self._stopping = True
        self._server.shutdown()
        # h2corn keeps its copy until it ends: clients that connect to it would wait.
        with suppress(OSError), self._listener as listener:
            listener.shutdown(socket.SHUT_RDWR)
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await idle()
        self._cutting = True
        for task in self._calls:
            task.cancel()
        if self._calls:
            await asyncio.wait(list(self._calls))
        await self._serving

    def _config(self, library: Any, listener: int) -> Any:  # of the module h2corn
        at_most = library.RequestPolicy(
            path="/*",
            # Larger messages are refused here by a status, once their prefix is read. This is for those who send on:
            # h2corn resets their calls, so on a busy machine it must not come before the status.
            max_request_body_size=_MAX_BODY_SHARE * self._max_bytes,
            timeout_request_body_idle=_STALLED_S,
            h2_timeout_response_stall=_STALLED_S,
        )
        return library.Config(
            bind=(f"fd://{listener}",),
            lifespan="off",
            http1=False,
            grpc=True,
            runtime_threads=1,
            access_log=False,
            log_format="json",
            date_header=False,
            max_concurrent_streams=_MAX_STREAMS,
            limit_request_fields=0,
            h2_max_header_list_size=MAX_METADATA_BYTES,
            # What is larger than the list may be ends the call; what is larger than the block, the connection.
            h2_max_header_block_size=8 * MAX_METADATA_BYTES,
            h2_initial_connection_window_size=_CONNECTION_WINDOW_BYTES,
            request_policies=(at_most,),
            timeout_keep_alive=_IDLE_CONNECTION_S,
            timeout_graceful_shutdown=self._longest_drain_s,
        )

    def _check_end(self, serving: asyncio.Task[None]) -> None:
        if not self._stopping:
            logger.critical("the transport has ended: the process ends", exc_info=serving.exception())
            os.kill(os.getpid(), signal.SIGTERM)

    async def _serve(self, scope: Event, receive: Receive, send: Send) -> None:
        """Serves one call, as ASGI wants it."""
        call = NativeCall(scope, receive, send, max_bytes=self._max_bytes)
        if scope["method"] != "POST" or not call.is_grpc:
            await send({"type": "http.response.start", "status": 415, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        choose = None if scope["query_string"] else self._handlers.get(scope["path"])
        task = asyncio.current_task(self._loop)
        assert task is not None
        self._calls[task] = call
        cancelled = False
        try:
            handler = None if choose is None else choose(call)
            if handler is None:
                await call.fail(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
            else:
                await _handle(call, handler)
        except asyncio.CancelledError:
            cancelled = True
            if not self._cutting:
                raise
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORD_S):
                    await call.fail(grpc.StatusCode.UNAVAILABLE, "the server stops")
        except grpc.aio.AbortError:
            await call.end()
        except wire.MessageTooLarge:
            await call.fail(grpc.StatusCode.RESOURCE_EXHAUSTED, f"a message may have {self._max_bytes} bytes at most")
        except (wire.MessageMalformed, StreamBroken):
            await call.fail(grpc.StatusCode.INTERNAL, "there is no message of gRPC in the request")
        except Exception as error:
            logger.error("unexpected error", method=scope["path"], exc_info=error)
            await call.fail(grpc.StatusCode.UNKNOWN, "unexpected error")
        finally:
            del self._calls[task]
            call.finish(cancelled=cancelled)


async def _handle(call: NativeCall, handler: Any) -> None:  # the types of handlers do not know asyncio
    """Runs the handler of a call to its end."""
    decode = handler.request_deserializer or bytes
    call.serialize = serialize = handler.response_serializer or bytes
    if handler.unary_unary is not None:
        await call.respond(serialize(await handler.unary_unary(decode(await _only_request(call)), call)))
        return
    try:
        async with asyncio.timeout(call.time_remaining()) as limit:
            if handler.unary_stream is not None:
                await handler.unary_stream(decode(await _only_request(call)), call)
            elif handler.stream_stream is not None:
                responses = handler.stream_stream(call.requests(decode), call)
                if hasattr(responses, "__aiter__"):
                    async for response in responses:
                        await call.write(response)
                else:
                    await responses  # a refusal
    except TimeoutError:
        if not limit.expired():
            raise
        await call.fail(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
    else:
        await call.end()


async def _only_request(call: NativeCall) -> bytes:
    request = await call.next_request()
    if request is None:
        raise StreamBroken
    return request


class _Details(grpc.HandlerCallDetails):
    def __init__(self, path: str, metadata: wire.Metadata) -> None:
        self.method = path
        self.invocation_metadata = metadata


def _always(handler: RpcHandler, _call: NativeCall) -> RpcHandler:
    return handler


def _chooser(handlers: MethodHandlers, path: str) -> Callable[[NativeCall], RpcHandler | None]:
    return lambda call: handlers.service(_Details(path, call.invocation_metadata()))


@contextmanager
def _threads_that_wait() -> Iterator[None]:
    """Has the threads that begin in the block wait for a free core when they are woken.

    Else the thread that writes to sockets takes the core from Python's, for each response of the many that are about to
    come; and again for the end of each task. That took an eighth of a call.
    """
    if not hasattr(os, "SCHED_BATCH") or os.sched_getscheduler(0) != os.SCHED_OTHER:  # macOS has none
        yield
        return
    with suppress(OSError):  # where that is forbidden
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    try:
        yield
    finally:
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def _listening(address: str) -> socket.socket:
    """Returns a socket that listens, and whose connections end when the kernel finds that the peer is gone.

    Raises:
        RuntimeError: The address cannot be listened on.
    """
    host, _, port = address.rpartition(":")
    try:
        (family, kind, _, _, bound), *_ = socket.getaddrinfo(
            host.strip("[]") or None, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_TIMEOUT_MS // 1000 // _KEEPALIVE_PROBES)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _KEEPALIVE_PROBES)
        if hasattr(socket, "TCP_KEEPIDLE"):  # not on macOS
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_MS // 1000)
        listener.bind(bound)
        listener.listen(_BACKLOG)
        listener.setblocking(False)  # noqa: FBT003 - the only way to say it
    except OSError as error:
        raise RuntimeError(f"cannot listen on {address}: {error.strerror}") from error
    return listener
