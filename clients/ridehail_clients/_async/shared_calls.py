"""Single calls that share calls of a batch method."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Generic, TypeVar

import grpc
from google.protobuf.message import Message

from ridehail_clients._async.transport import AsyncTransport
from ridehail_clients.calls.call_metadata import Metadata
from ridehail_clients.calls.call_time import CallTime
from ridehail_clients.calls.channel import AsyncUnaryMethod
from ridehail_clients.calls.shared_lookup import AsyncSharedLookup, AsyncSingleCall
from ridehail_clients.errors import ServiceError
from ridehail_kernel.method_contracts import MethodContract
from ridehail_kernel.text_rules import is_id

Key = TypeVar("Key", bound=Hashable)
Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)
Found = TypeVar("Found")
Result = TypeVar("Result")

# Of a batch as a whole: a bad key in it, a server that is older than the batch method, or rules of access that are.
_REFUSALS = frozenset(
    {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.PERMISSION_DENIED}
)

# Of a key that is a whole request: a batch of a hundred such keys keeps below the 2000 values that a request may have.
_MAX_TEXTS = 20


@dataclass(frozen=True)  # Python 3.11 can give an instance with slots no type parameters
class BatchMessages(Generic[Key, Request, Response, Found, Result]):
    """How keys get into the request of a batch, and results out of its response.

    Attributes:
        request: Builds the request for distinct keys.
        found: Returns what the response to these keys has of each that was found.
        read: Converts what was found of one key.
        key: Name of what a key is, as in `order_id`, where one may not be found.
        missing: Returns the keys that were not found.
        not_found: The class of the error for a key that was not found.
    """

    request: Callable[[Sequence[Key]], Request]
    found: Callable[[Sequence[Key], Response], Mapping[Key, Found]]
    read: Callable[[Found], Result]
    key: str = ""
    missing: Callable[[Response], Iterable[Key]] = lambda _response: ()
    not_found: type[ServiceError] = ServiceError


class AsyncSharedCalls(Generic[Key, Request, Response, Found, Result]):
    """Makes calls about single keys in batches. A key is an id, or a model of ids and tuples of ids.

    A batch belongs to no single caller: it may take as long as one call by itself, and carries nothing of the calls
    that wait for it but the keys.

    Args:
        transport: Performs the calls.
        method: The batch method.
        messages: Its messages.
        single: The contract of the method for single keys.
        timeout: Of a whole batch, repeats included, in seconds.
    """

    def __init__(
        self,
        transport: AsyncTransport,
        method: AsyncUnaryMethod[Request, Response],
        messages: BatchMessages[Key, Request, Response, Found, Result],
        *,
        single: MethodContract,
        timeout: float,
    ) -> None:
        self._transport = transport
        self._method = method
        self._messages = messages
        self._single = single
        self._timeout = timeout
        self._shared: AsyncSharedLookup[Key, Found | ServiceError] = AsyncSharedLookup(self._load)

    async def get(
        self,
        key: Key,
        alone: AsyncSingleCall[Result],
        *,
        timeout: float | None,
        metadata: Metadata,
    ) -> Result:
        """Returns the result of a key, of a batch where it may be in one.

        A call with metadata of its own goes alone, and so does one whose batch is refused, or returns without its key.

        Args:
            key: The key.
            alone: Calls the method for single keys.
            timeout: Seconds for the whole call, or None for the contract's deadline.
            metadata: Further metadata of the call.

        Raises:
            ServiceError: The call or the batch failed, the key was not found, or the time ran out.
        """
        if metadata or not may_share(key):
            return await alone(timeout)
        time = CallTime.begin(self._single, timeout=timeout, attempt_timeout=None)
        try:
            found = await self._shared.get(key, timeout=time.left_to_begin())
        except ServiceError as error:
            if error.code not in _REFUSALS:
                # All callers of a batch get the same object, and raising changes it.
                raise copy.copy(error) from error.__cause__
            found = None
        if found is None:
            return await alone(time.left())
        if isinstance(found, ServiceError):
            raise copy.copy(found)
        return self._messages.read(found)

    async def close(self) -> None:
        """Ends the wait of all callers."""
        await self._shared.close()

    async def _load(self, keys: Sequence[Key]) -> Mapping[Key, Found | ServiceError]:
        response = await self._transport.call(
            self._method,
            self._messages.request(keys),
            timeout=self._timeout,
            metadata=(),
            attempt_timeout=self._single.attempt_timeout,
        )
        results: dict[Key, Found | ServiceError] = {
            key: self._not_found(key) for key in self._messages.missing(response)
        }
        results.update(self._messages.found(keys, response))
        return results

    def _not_found(self, key: Key) -> ServiceError:
        messages = self._messages
        message = f"no such {messages.key.removesuffix('_id').replace('_', ' ')}"
        return messages.not_found(
            grpc.StatusCode.NOT_FOUND, messages.not_found.REASON, message, metadata={messages.key: str(key)}
        )


def may_share(key: object) -> bool:
    """Returns whether a key may go in a batch: one bad key is enough for the server to refuse them all.

    Where this is stricter than the server, the call only goes alone.
    """
    if not is_dataclass(key):
        return isinstance(key, str) and is_id(key)
    texts: list[object] = []
    for value in (getattr(key, field.name) for field in fields(key)):
        texts += value if isinstance(value, tuple) else () if value is None else (value,)
    return len(texts) <= _MAX_TEXTS and all(isinstance(text, str) and is_id(text) for text in texts)
