"""The order providers of riders, the true state of their orders, and reports of it to order_state."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from ridehail_clients import (
    ActiveOrders,
    AsyncOrderCoreClient,
    AsyncOrderProviderClient,
    AsyncOrderStateClient,
    ServiceError,
)
from tests.support.waiting import LIMIT_S

PROVIDERS = {"taxi": "order-core", "eats": "eats-orders", "grocery": "grocery-orders"}
PARTS = {"taxi": ("fast_info", "part2"), "eats": ("full_info", "eats_tracking"), "grocery": ("full_info",)}
LIMITS = {"taxi": 3, "eats": 1, "grocery": 1}
Key = tuple[str, str]


@dataclass
class OrderProviders:
    """The order providers, and the true state of their orders.

    Attributes:
        truth: The version of each part of each active order.
        unreported: Changes not reported to order_state yet: order, sequence, parts, whether it has ended.
    """

    core: AsyncOrderCoreClient
    others: Mapping[str, AsyncOrderProviderClient]
    uid: str
    random: Random
    truth: dict[Key, dict[str, str]] = field(default_factory=dict)
    unreported: list[tuple[Key, int, dict[str, str], bool]] = field(default_factory=list)
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    async def change_something(self) -> None:
        """Starts an order, changes some parts of one, or ends one."""
        active = sorted(self.truth)
        services = [one for one in PROVIDERS if sum(key[0] == one for key in active) < LIMITS[one]]
        if services and (not active or self.random.random() < 0.3):
            key = (self.random.choice(services), f"{self.uid}-{next(self.numbers)}")
            await self.put(key, PARTS[key[0]], is_new=True)
        elif self.random.random() < 0.25:
            await self.end(self.random.choice(active))
        else:
            key = self.random.choice(active)
            names = PARTS[key[0]]
            await self.put(key, self.random.sample(names, self.random.randint(1, len(names))))

    async def put(self, key: Key, names: Sequence[str], *, is_new: bool = False) -> None:
        """Gives parts of an order new versions."""
        changed = {name: f"v{next(self.numbers)}" for name in names}
        parts = self.truth.get(key, {}) | changed
        sequence = await self._store(key, parts, changed, status=f"at {next(self.numbers)}", is_new=is_new)
        self.truth[key] = parts
        self.unreported.append((key, sequence, changed, False))

    async def end(self, key: Key) -> None:
        parts = self.truth.pop(key)
        sequence = await self._store(key, parts, {}, status="complete")
        self.unreported.append((key, sequence, {}, True))

    async def listed(self) -> dict[Key, dict[str, str]]:
        """The orders that the services themselves list."""
        found: dict[Key, dict[str, str]] = {}
        for service in PROVIDERS:
            client = self.core if service == "taxi" else self.others[service]
            answer: ActiveOrders = await client.list_active_orders(yandex_uid=self.uid, timeout=10)
            found.update({(service, one.orderid): one.parts for one in answer.orders})
        return found

    async def _store(
        self, key: Key, parts: dict[str, str], changed: dict[str, str], *, status: str, is_new: bool = False
    ) -> int:
        service, orderid = key
        if service != "taxi":
            return await self.others[service].put_order(
                orderid=orderid,
                yandex_uid=self.uid,
                status=status,
                parts=parts,
                finished=status == "complete",
                timeout=10,
            )
        if is_new:
            document = {"order": {"status": status}, "parts": parts}
            return await self.core.put_order(order_id=orderid, yandex_uid=self.uid, document=document, timeout=10)
        fields = {"order.status": status, **{f"parts.{name}": version for name, version in changed.items()}}
        return await self.core.set_order_fields(order_id=orderid, set=fields, timeout=10)


@dataclass
class Reporter:
    """Reports changes to order_state: late, twice, in any order, but each at least once."""

    clients: Mapping[str, AsyncOrderStateClient]
    providers: OrderProviders
    random: Random
    reported: list[tuple[Key, int, dict[str, str], bool]] = field(default_factory=list)

    async def report_some(self) -> None:
        """Reports some changes, and some of them again."""
        waiting = self.providers.unreported
        self.random.shuffle(waiting)
        for _ in range(self.random.randint(0, len(waiting))):
            await self._report(waiting)
        if self.reported and self.random.random() < 0.4:
            await self._report([self.random.choice(self.reported)])

    async def report_all(self) -> None:
        """Reports everything that is left."""
        async with asyncio.timeout(LIMIT_S):
            while self.providers.unreported:
                await self._report(self.providers.unreported)

    async def _report(self, waiting: list[tuple[Key, int, dict[str, str], bool]]) -> None:
        (service, orderid), sequence, parts, finished = report = waiting[0]
        try:
            await self.clients[service].report_order_parts(
                service=service,
                orderid=orderid,
                yandex_uid=self.providers.uid,
                sequence=sequence,
                parts=parts,
                finished=finished,
            )
        except ServiceError:
            return  # it is reported again
        waiting.remove(report)
        self.reported.append(report)
