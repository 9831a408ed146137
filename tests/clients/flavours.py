"""Calls the asyncio and the blocking clients in the same words."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import ridehail_clients


@dataclass(frozen=True)
class Flavour:
    """One of the two."""

    name: str

    def client_class(self, client: str) -> Any:  # the classes of both flavours have no common type
        """The class of the client, by its name without `Async`."""
        return getattr(ridehail_clients, f"Async{client}" if self.name == "asyncio" else client)

    async def call(
        self, target: str, client: str, method: str, arguments: dict[str, Any], **options: Any
    ) -> Any:  # whatever the method returns
        """Opens a client, calls one of its methods, closes the client."""
        # On a busy machine an attempt of a tenth of a second would now and then be one too many.
        options = {"attempt_timeout": 30.0} | options
        client_class = self.client_class(client)
        if self.name == "asyncio":
            async with client_class(target, **options) as opened:
                return await getattr(opened, method)(**arguments)

        def blocking() -> Any:
            with client_class(target, **options) as opened:
                return getattr(opened, method)(**arguments)

        return await asyncio.to_thread(blocking)


ASYNCIO = Flavour("asyncio")
BLOCKING = Flavour("blocking")
