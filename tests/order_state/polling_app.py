"""An app that polls by script, in the same words for both flavours of the poller."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ridehail_clients import (
    AllowedChanges,
    KnownOrder,
    LaunchOrder,
    MlutpOrdersState,
    OrdersState,
    OrderState,
    PollingPolicy,
    UpdateStatus,
)
from tests.clients.flavours import Flavour

ACTUAL, STALE = UpdateStatus.ACTUAL, UpdateStatus.STALE
ALLOWED = tuple(AllowedChanges(service, can_make_more_orders=True) for service in ("taxi", "eats", "grocery"))


def policy(service: str, part_name: str, priority: int, **others: Any) -> PollingPolicy:
    """How a part is polled."""
    members = {"url": f"/{part_name}", "fields": (), "polling_type": "tag_defined", "part_type": "totw"} | others
    return PollingPolicy(service, part_name, priority=priority, **members)


def order_state(service: str, orderid: str, *need_request: str, **members: Any) -> OrderState:
    """An order of a response; by default all parts that it needs are at version 1."""
    defaults = {"status": "driving", "tags": dict.fromkeys(need_request, "1"), "update_status": ACTUAL}
    return OrderState(orderid, service, need_request=need_request, **defaults | members)


def response(*orders: OrderState, **tags: str) -> OrdersState:
    """A response to a poll."""
    return OrdersState(orders, ALLOWED, tags)


def launched(*orders: OrderState, policy: Sequence[PollingPolicy] = (), **tags: str) -> MlutpOrdersState:
    """The orders of a launch."""
    listed = tuple(
        LaunchOrder(one.orderid, one.service, one.status, one.tags, one.need_request, one.update_status, one.details)
        for one in orders
    )
    return MlutpOrdersState(tags, listed, ALLOWED, tuple(policy))


@dataclass
class PollingApp:
    """A poller, and what it calls.

    Attributes:
        responses: What polls return or fail with, in turn; the last one is repeated.
        fetch_errors: What fetches of a part fail with, in turn.
        polls: The orders and the tags of each poll.
        fetched: Each fetch that began: service, order and part.
        slept: The pauses.
        invalid: What was counted of parts that are not valid.
        content: What the next fetch brings: each brings one more.
        poller: The poller.
    """

    flavour: Flavour
    options: dict[str, Any]
    responses: list[OrdersState | Exception] = field(default_factory=lambda: [response()])
    fetch_errors: dict[str, list[Exception | None]] = field(default_factory=dict)
    polls: list[tuple[dict[tuple[str, str], KnownOrder], Mapping[str, str]]] = field(default_factory=list)
    fetched: list[tuple[str, str, str]] = field(default_factory=list)
    policies: list[PollingPolicy | None] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    invalid: list[tuple[str, str, str]] = field(default_factory=list)
    while_sleeping: Callable[[int], None] = lambda _pauses: None
    content: int = 0
    now: float = 1000.0
    poller: Any = None  # the classes of both flavours have no common type

    def __post_init__(self) -> None:
        is_async = self.flavour.name == "asyncio"
        poll, fetch = (self.async_poll, self.async_fetch) if is_async else (self.poll, self.fetch)
        defaults = {
            "on_invalid_part": lambda *counted: self.invalid.append(counted),
            "clock": lambda: self.now,
            "random": lambda: 0.5,
            "sleep": self.async_sleep if is_async else self.sleep,
        }
        self.poller = self.flavour.client_class("OrderPoller")(poll, fetch, **defaults | self.options)

    async def __call__(self, method: str, *args: Any) -> Any:  # whatever the method returns
        """Calls a method that the asyncio poller has to be awaited for."""
        result = getattr(self.poller, method)(*args)
        return await result if self.flavour.name == "asyncio" else result

    @property
    def cards(self) -> dict[tuple[str, str], Any]:
        """The cards by service and order."""
        return {(card.service, card.orderid): card for card in self.poller.cards}

    @property
    def names(self) -> list[str]:
        """The parts whose fetches began."""
        return [part_name for _, _, part_name in self.fetched]

    def poll(self, *, known_orders: Sequence[KnownOrder], tags: Mapping[str, str]) -> OrdersState:
        self.polls.append(({(one.service, one.orderid): one for one in known_orders}, tags))
        scripted = self.responses[min(len(self.polls), len(self.responses)) - 1]
        if isinstance(scripted, Exception):
            raise scripted
        return scripted

    def fetch(self, service: str, orderid: str, part_name: str, policy: PollingPolicy | None) -> int:
        self.fetched.append((service, orderid, part_name))
        self.policies.append(policy)
        errors = self.fetch_errors.get(part_name)
        error = errors.pop(0) if errors else None
        if error is not None:
            raise error
        self.content += 1
        return self.content

    def sleep(self, seconds: float) -> None:
        assert len(self.slept) < 100, "it goes on and on"
        self.slept.append(seconds)
        self.while_sleeping(len(self.slept))

    async def async_poll(self, *, known_orders: Sequence[KnownOrder], tags: Mapping[str, str]) -> OrdersState:
        await asyncio.sleep(0)
        return self.poll(known_orders=known_orders, tags=tags)

    async def async_fetch(self, service: str, orderid: str, part_name: str, policy: PollingPolicy | None) -> int:
        await asyncio.sleep(0)
        return self.fetch(service, orderid, part_name, policy)

    async def async_sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        self.sleep(seconds)


Start = Callable[..., PollingApp]
"""Starts an app; takes what a poller takes beside its functions."""
