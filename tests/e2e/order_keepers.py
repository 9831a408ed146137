"""The services that keep riders' orders, what is true in them, and how order_state is told of it."""

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

KEEPERS = {"taxi": "order-core", "eats": "eats-orders", "grocery": "grocery-orders"}
PARTS = {"taxi": ("fast_info", "part2"), "eats": ("full_info", "eats_tracking"), "grocery": ("full_info",)}
LIMITS = {"taxi": 3, "eats": 1, "grocery": 1}
Key = tuple[str, str]


@dataclass
class Keepers:
    """The services that keep orders, and what is true in them.

    Attributes:
        truth: Of each order under way, the version of each part.
        unreported: Changes of which order_state is still to be told: order, sequence, parts, whether it has ended.
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
        services = [one for one in KEEPERS if sum(key[0] == one for key in active) < LIMITS[one]]
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
        """Ends an order."""
        parts = self.truth.pop(key)
        sequence = await self._store(key, parts, {}, status="complete")
        self.unreported.append((key, sequence, {}, True))

    async def listed(self) -> dict[Key, dict[str, str]]:
        """What the services themselves list."""
        found: dict[Key, dict[str, str]] = {}
        for service in KEEPERS:
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
    """Tells order_state of changes: late, twice, in any order, but each at least once."""

    clients: Mapping[str, AsyncOrderStateClient]
    keepers: Keepers
    random: Random
    told: list[tuple[Key, int, dict[str, str], bool]] = field(default_factory=list)

    async def tell_some(self) -> None:
        """Tells of some changes, and of some again."""
        waiting = self.keepers.unreported
        self.random.shuffle(waiting)
        for _ in range(self.random.randint(0, len(waiting))):
            await self._tell(waiting)
        if self.told and self.random.random() < 0.4:
            await self._tell([self.random.choice(self.told)])

    async def tell_all(self) -> None:
        """Tells of all that is left."""
        async with asyncio.timeout(LIMIT_S):
            while self.keepers.unreported:
                await self._tell(self.keepers.unreported)

    async def _tell(self, waiting: list[tuple[Key, int, dict[str, str], bool]]) -> None:
        (service, orderid), sequence, parts, finished = report = waiting[0]
        try:
            await self.clients[service].report_order_parts(
                service=service,
                orderid=orderid,
                yandex_uid=self.keepers.uid,
                sequence=sequence,
                parts=parts,
                finished=finished,
            )
        except ServiceError:
            return  # it is told again
        waiting.remove(report)
        self.told.append(report)
