"""One call that the native transport serves, as its handler sees it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

import grpc

from . import wire

# Of ASGI (https://asgi.readthedocs.io/en/latest/specs/www.html).
Event = dict[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

_CONTENT_TYPE = (b"content-type", b"application/grpc")
# A client whose deadline passes resets its call, and many resets end the connection: the response has to come before.
_AHEAD_S = 0.01
_MAX_AHEAD_SHARE = 0.05
_OK = grpc.StatusCode.OK
_BODY_END: Event = {"type": "http.response.body", "body": b""}


class StreamBroken(Exception):
    """The client ended or reset its side before its message was whole."""


class NativeCall(grpc.aio.ServicerContext[Any, Any]):
    """Reads the requests of a call and writes its responses and its end."""

    def __init__(self, scope: Event, receive: Receive, send: Send, *, max_bytes: int) -> None:
        self._client: tuple[str, int] | None = scope.get("client")
        self._receive = receive
        self._send = send
        self._max_bytes = max_bytes
        self._read = bytearray()
        self._all_read = False
        self._metadata, own = wire.split(scope["headers"])
        self.is_grpc = own.get(b"content-type", b"").startswith(b"application/grpc")
        self._encoding = own.get(b"grpc-encoding", b"")
        self._ends_at: float | None = None
        if (timeout := own.get(b"grpc-timeout")) and (seconds := wire.timeout_s(timeout)) is not None:
            self._ends_at = time.monotonic() + seconds - min(_AHEAD_S, seconds * _MAX_AHEAD_SHARE)
        # What makes a message of what a handler writes.
        self.serialize: Callable[[Any], bytes] = bytes
        self._initial: Sequence[tuple[str, str | bytes]] = ()
        self._trailing: Sequence[tuple[str, str | bytes]] = ()
        self._code: grpc.StatusCode = _OK
        self._message = ""
        self._begun = False
        self._done = False
        self._callbacks: list[Callable[[Any], None]] = []

    # --- what a transport does with it

    async def next_request(self) -> bytes | None:
        """Returns the next message of the client, or None once there is no more.

        Raises:
            StreamBroken: The client ended in the middle of one.
            wire.MessageTooLarge, wire.MessageMalformed: The message cannot be taken.
        """
        while (found := wire.first_message(self._read, encoding=self._encoding, limit=self._max_bytes)) is None:
            if self._all_read:
                if self._read:
                    raise StreamBroken
                return None
            event = await self._receive()
            if event["type"] == "http.disconnect":
                raise StreamBroken
            self._read += event.get("body", b"")
            self._all_read = not event.get("more_body", False)
        message, taken = found
        del self._read[:taken]
        return message

    async def requests(self, decoded: Callable[[bytes], Any]) -> AsyncIterator[Any]:
        while (message := await self.next_request()) is not None:
            yield decoded(message)

    async def send_message(self, message: bytes) -> None:
        if not self._begun:
            await self._begin()
        await self._put({"type": "http.response.body", "body": wire.framed(message), "more_body": True})

    async def respond(self, message: bytes) -> None:
        """Ends a unary call with its response, or a message that was aborted with its status."""
        if self._code is not _OK:
            await self.end()
            return
        if not self._begun:
            await self._begin()
        await self._put({"type": "http.response.body", "body": wire.framed(message)})
        await self._end()

    async def end(self) -> None:
        """Ends the call with the status that it has."""
        if self._begun:
            await self._put(_BODY_END)
            await self._end()
            return
        # Headers and trailers are one, as gRPC has it where there is no message: so the gateway sees them at once.
        self._begun = True
        headers = [_CONTENT_TYPE, *wire.encoded(self._initial), *self._trailers()]
        await self._put({"type": "http.response.start", "status": 200, "headers": headers})
        await self._put(_BODY_END)

    async def fail(self, code: grpc.StatusCode, message: str) -> None:
        """Ends the call with a status of the transport's own."""
        self._code, self._message, self._trailing = code, message, ()
        await self.end()

    def finish(self, *, cancelled: bool) -> None:
        """Notes that the handler has ended."""
        self._done = True
        if cancelled:
            self._code = grpc.StatusCode.CANCELLED
        for callback in self._callbacks:
            callback(self)

    async def _put(self, event: Event) -> None:
        # A client that is gone misses nothing; its handler is cancelled, if there still is one.
        try:  # noqa: SIM105 - `suppress` takes longer than many a send
            await self._send(event)
        except OSError:
            pass

    async def _begin(self) -> None:
        self._begun = True
        headers = [_CONTENT_TYPE, *wire.encoded(self._initial)] if self._initial else [_CONTENT_TYPE]
        await self._put({"type": "http.response.start", "status": 200, "headers": headers, "trailers": True})

    async def _end(self) -> None:
        await self._put({"type": "http.response.trailers", "headers": self._trailers()})

    def _trailers(self) -> wire.Headers:
        return [*wire.status_headers(self._code.value[0], self._message), *wire.encoded(self._trailing)]

    # --- what a handler does with it

    async def read(self) -> NoReturn:
        raise NotImplementedError

    async def write(self, message: Any) -> None:
        await self.send_message(self.serialize(message))

    async def send_initial_metadata(self, initial_metadata: Iterable[tuple[str, str | bytes]]) -> None:
        self._initial = tuple(initial_metadata)
        await self._begin()

    async def abort(
        self,
        code: grpc.StatusCode,
        details: str = "",
        trailing_metadata: Iterable[tuple[str, str | bytes]] = (),
    ) -> NoReturn:
        self._code, self._message = (grpc.StatusCode.UNKNOWN if code is _OK else code), details
        self._trailing = tuple(trailing_metadata) or self._trailing
        raise grpc.aio.AbortError

    async def abort_with_status(self, status: grpc.Status) -> NoReturn:
        await self.abort(status.code, status.details, status.trailing_metadata or ())

    def set_trailing_metadata(self, trailing_metadata: Iterable[tuple[str, str | bytes]]) -> None:
        self._trailing = tuple(trailing_metadata)

    def trailing_metadata(self) -> Any:  # gRPC's own type, of which these are the same pairs
        return self._trailing

    def invocation_metadata(self) -> Any:  # gRPC's own type, of which these are the same pairs
        return self._metadata

    def time_remaining(self) -> float | None:  # type: ignore[override]  # as gRPC's own returns without a deadline
        return None if self._ends_at is None else max(0.0, self._ends_at - time.monotonic())

    def set_code(self, code: grpc.StatusCode) -> None:
        self._code = code

    def code(self) -> grpc.StatusCode:
        return self._code

    def set_details(self, details: str) -> None:
        self._message = details

    def details(self) -> str:
        return self._message

    def set_compression(self, compression: grpc.Compression) -> None:
        """Does nothing: responses are not compressed."""

    def disable_next_message_compression(self) -> None:
        """Does nothing: responses are not compressed."""

    def peer(self) -> str:
        return f"ipv4:{self._client[0]}:{self._client[1]}" if self._client else "unix:"

    def peer_identities(self) -> None:
        return None

    def peer_identity_key(self) -> None:
        return None

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        return {}

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._callbacks.append(callback)

    def cancelled(self) -> bool:
        return self._code is grpc.StatusCode.CANCELLED

    def done(self) -> bool:
        return self._done
