"""Callers whose lookups share batches."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import grpc
from google.protobuf.message import Message

from tests.clients.flavours import Opened
from tests.clients.scripted_server import Behaviour, ScriptedServer
from tests.support.waiting import LIMIT_S
from tests.toll_roads.client.scripted_toll_roads import numbered

ORDERS = [numbered(number) for number in range(1000)]
CLIENT = "TollRoadsClient"
# These tests are not about the time of attempts, and the machine may be busy.
COALESCING: dict[str, Any] = {"coalesce": True, "attempt_timeout": 60.0}


async def retrieve(opened: Opened, order_ids: Sequence[str], **arguments: Any) -> list[Any]:
    """Looks up all orders concurrently; returns roads and errors."""
    calls = [opened.call("retrieve_order", order_id=order_id, **{"timeout": 60} | arguments) for order_id in order_ids]
    return await asyncio.gather(*calls, return_exceptions=True)


class Gate:
    """Holds the responses to batches until it is opened."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.opened = threading.Event()
        self._behaviour = behaviour

    def __call__(self, request: Any, context: grpc.ServicerContext) -> Message | None:
        assert self.opened.wait(LIMIT_S)
        return self._behaviour(request, context)


async def received(server: ScriptedServer, number: int) -> None:
    async with asyncio.timeout(LIMIT_S):
        while len(server.received) < number:
            await asyncio.sleep(0.01)


async def callers_waiting(opened: Opened, number: int) -> None:
    """Waits until so many callers wait for batches."""
    if opened.threads is None:
        # Each calls in the first turn of its task.
        for _ in range(5):
            await asyncio.sleep(0)
        return
    shared = opened.client._shared_retrieve_order._shared
    async with asyncio.timeout(LIMIT_S):
        while len(shared._unresolved) < number:
            await asyncio.sleep(0.005)
