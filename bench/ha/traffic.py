"""What the suite's callers write while the cluster fails, by the client library, and what became of it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import grpc
import psycopg

from bench.chaos.calls import KEY_BASE, WORKLOADS, Journal, Keys, settled, shared_order
from bench.chaos.client_load import ClientLoad, TimedCall
from bench.chaos.outage_cases import recovered
from ridehail_clients import (
    AsyncEulasClient,
    AsyncFamilyClient,
    AsyncOrderCoreClient,
    AsyncPassengerTollRoadsClient,
    AsyncTollRoadsClient,
    AsyncUserStateClient,
    EulaDecision,
    EulaState,
    FamilyAdmin,
    TransportUnavailable,
)
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.passenger import Identity
from ridehail_servers.chassis.tickets import TicketIssuer

RATE: Final = 6.0
"""Calls a second of each kind."""

TASKS: Final = "toll-roads tasks"
"""The kind of writes whose effect a background task has."""

_RIDER: Final = "1"
_EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
_SWITCHED: Final = "switched"
# Switches are told apart by the time that the app states: so many milliseconds after the epoch.
_SWITCHES: Final = (
    f"SELECT {KEY_BASE} + round(extract(epoch FROM created_at - '2026-01-01T00:00:00Z') * 1000)::bigint"
    f" FROM toll_roads.log_has_toll_road WHERE order_id = '{_SWITCHED}' AND has_toll_road"
)

Write = Callable[[str], Awaitable[object]]


@dataclass
class WriteStream:
    """Writes of one kind: `write` gets a key that no other write has, and `written` finds the keys in the database."""

    kind: str
    write: Write
    written: str
    keys: Keys
    journal: Journal = field(default_factory=Journal)
    acknowledged_at: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.load = ClientLoad(self._one, RATE)

    async def _one(self, _number: int) -> None:
        (key,) = self.keys.take(1)
        self.journal.sent.add(key)
        await self.write(key)
        self.journal.acknowledged.add(key)
        self.acknowledged_at[key] = time.time()

    def calls(self, since: float, until: float) -> list[TimedCall]:
        """Returns those that were sent in this time, in order."""
        return sorted((it for it in self.load.attempts if since <= it.sent < until), key=lambda it: it.sent)


class ClientTraffic:
    """Writes of several services, at an even rate, from its start to its end."""

    def __init__(self, address: str, tickets: KeyRing, stack: AsyncExitStack) -> None:
        self._address = address
        self._tickets = tickets
        self._stack = stack
        self._keys = Keys()
        self.streams: list[WriteStream] = []

    async def start(self) -> None:
        """Makes the clients, and begins to write."""

        def ticket(source: str) -> TicketIssuer:
            return TicketIssuer(self._tickets, source)

        enter = self._stack.enter_async_context
        states = await enter(AsyncUserStateClient(self._address, ticket=ticket("api-proxy")))
        eulas = await enter(AsyncEulasClient(self._address, ticket=ticket("admin")))
        orders = await enter(AsyncOrderCoreClient(self._address, ticket=ticket("admin")))
        families = await enter(AsyncFamilyClient(self._address, ticket=ticket("admin")))
        offers = await enter(AsyncTollRoadsClient(self._address, ticket=ticket("routestats")))
        saves = await enter(AsyncTollRoadsClient(self._address, ticket=ticket("processing")))
        switches = await enter(AsyncPassengerTollRoadsClient(self._address))
        bound = ticket("gateway").issue("toll-roads", passenger=Identity(_RIDER))

        async def switch(key: str) -> None:
            await switches.switch_road(
                order_id=_SWITCHED,
                has_toll_road=True,
                created=_EPOCH + timedelta(milliseconds=int(key) - KEY_BASE),
                metadata=(("x-ya-service-ticket", bound),),
            )

        async def save_offer(key: str) -> None:
            if not await offers.save_offer(offer_id=f"chaos-{key}"):
                raise TransportUnavailable(grpc.StatusCode.UNAVAILABLE, "NOT_SAVED")

        toll_roads = WORKLOADS["toll-roads"]
        kinds: Mapping[str, tuple[Write, str]] = {
            "user-state": (
                lambda key: states.update_personal_state(yandex_uid=key, revision_id="0", selected_category="econom"),
                WORKLOADS["user-state"].written,
            ),
            "eulas": (
                lambda key: eulas.save_eulas(
                    yandex_uid=key, eulas=[EulaDecision(eula_id="surge_il", status=EulaState.ACCEPTED)]
                ),
                # What is in force. The log of decisions has a save as often as the client repeated it.
                "SELECT yandex_uid FROM eulas.users",
            ),
            "order-core": (
                lambda key: orders.set_order_fields(order_id=shared_order(int(key)), push={"chaos.marks": [key]}),
                WORKLOADS["order-core"].written,
            ),
            "family": (
                lambda key: families.create_family(
                    admin=FamilyAdmin(yandex_uid=key, name="chaos"), phone_id=f"phone-{key}"
                ),
                WORKLOADS["family"].written,
            ),
            "toll-roads offers": (save_offer, toll_roads.written),
            "toll-roads switches": (switch, _SWITCHES),
            TASKS: (
                lambda key: saves.enqueue_order_save(
                    order_id=f"chaos-{key}",
                    created=datetime.now(UTC),
                    can_switch_road=True,
                    user_chose_toll_road=False,
                ),
                toll_roads.done,
            ),
        }
        self.streams = [WriteStream(kind, write, written, self._keys) for kind, (write, written) in kinds.items()]
        for stream in self.streams:
            running = asyncio.create_task(stream.load.run())
            self._stack.push_async_callback(_ended, stream.load, running)

    def stream(self, kind: str) -> WriteStream:
        return next(it for it in self.streams if it.kind == kind)

    def back(self, since: float, until: float) -> float | None:
        """Returns after how many seconds every kind of write succeeded again, or None if one does not yet.

        Writes that never failed are back after none.
        """
        times = [_back(stream.calls(since, until), since) for stream in self.streams]
        known = [it for it in times if it is not None]
        return max(known) if len(known) == len(times) else None

    async def judge(self, url: str, *, within_s: float) -> dict[str, Counter[str]]:
        """Counts acknowledged, lost and doubled writes of all the time so far, by kind.

        Writes of tasks are lost only if they are not there within `within_s` seconds.
        """
        return {it.kind: Counter(await settled(it.journal, url, it.written, within_s=within_s)) for it in self.streams}


def failures(streams: Sequence[WriteStream], since: float, until: float) -> Counter[str]:
    """Counts the failed calls of a time, by reason."""
    return Counter(it.failure for stream in streams for it in stream.calls(since, until) if it.failure)


def put_switched_order(url: str) -> None:
    """Stores the order whose road is switched all the time."""
    with psycopg.connect(url) as connection:
        connection.execute(
            """
            WITH stored AS (
                INSERT INTO toll_roads.orders (order_id, created_at, can_switch_road, yandex_uid)
                VALUES (%(order)s, '2025-12-31', true, %(rider)s)
                RETURNING order_id
            )
            INSERT INTO toll_roads.log_has_toll_road (order_id, created_at, has_toll_road)
            VALUES (%(order)s, '2025-12-31', false)
            """,
            {"order": _SWITCHED, "rider": _RIDER},
        )


def _back(calls: Sequence[TimedCall], since: float) -> float | None:
    first_failure = next((it.sent for it in calls if it.failure), None)
    if first_failure is None:
        return 0.0
    back = recovered(calls, first_failure)
    return None if back is None else back - since


async def _ended(load: ClientLoad, running: asyncio.Task[None]) -> None:
    load.stop()
    await running
