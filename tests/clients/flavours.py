"""Calls the asyncio and the blocking clients in the same words."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import ridehail_clients
from tests.clients.memory_channel import MemoryChannel
from tests.clients.scripted_server import ScriptedServer

# What the constructors of some clients need beside the target.
REQUIRED: dict[str, dict[str, Any]] = {
    "OrderProviderClient": {"service": "eats-orders"},
    "UserDataClient": {"service": "eulas"},
}


@dataclass(frozen=True)
class Opened:
    """A client that is open, for many calls at once."""

    client: Any  # the classes of both flavours have no common type
    threads: ThreadPoolExecutor | None

    async def call(self, method: str, **arguments: Any) -> Any:  # whatever the method returns
        """Calls a method: a blocking one in a thread of its own."""
        if self.threads is None:
            return await getattr(self.client, method)(**arguments)
        calling = partial(getattr(self.client, method), **arguments)
        # As `asyncio.to_thread` does it: the call is made in the caller's context.
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self.threads, context.run, calling)

    async def close(self) -> None:
        """Closes the client."""
        if self.threads is None:
            await self.client.close()
        else:
            await asyncio.to_thread(self.client.close)


@dataclass(frozen=True)
class Flavour:
    """One of the two."""

    name: str

    def client_class(self, client: str) -> Any:  # the classes of both flavours have no common type
        """The class of the client, by its name without `Async`."""
        return getattr(ridehail_clients, f"Async{client}" if self.name == "asyncio" else client)

    def in_memory(self, server: ScriptedServer, **options: Any) -> Any:  # what a client takes in place of a target
        """Returns a channel to the server without a wire, see `MemoryChannel`."""
        return MemoryChannel(server, is_async=self.name == "asyncio", **options)

    async def call(
        self, target: Any, client: str, method: str, arguments: dict[str, Any], **options: Any
    ) -> Any:  # whatever the method returns
        """Opens a client, calls one of its methods, closes the client."""
        # On a busy machine an attempt of a tenth of a second would now and then be one too many.
        options = {"attempt_timeout": 30.0} | REQUIRED.get(client, {}) | options
        client_class = self.client_class(client)
        if self.name == "asyncio":
            async with client_class(target, **options) as opened:
                return await getattr(opened, method)(**arguments)

        def blocking() -> Any:
            with client_class(target, **options) as opened:
                return getattr(opened, method)(**arguments)

        return await asyncio.to_thread(blocking)

    @asynccontextmanager
    async def opened(self, target: Any, client: str, **options: Any) -> AsyncIterator[Opened]:
        """Opens a client for the length of the block, whose calls may overlap."""
        threads = None if self.name == "asyncio" else ThreadPoolExecutor(1000)
        opened = Opened(self.client_class(client)(target, **REQUIRED.get(client, {}) | options), threads)
        try:
            yield opened
        finally:
            await opened.close()
            if threads is not None:
                threads.shutdown()


ASYNCIO = Flavour("asyncio")
BLOCKING = Flavour("blocking")
