"""Order state as its contract has it, in memory: what a poller is tested against. And what is true of the orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ridehail_clients import AllowedChanges, KnownOrder, OrdersState, OrderState, UpdateStatus

Key = tuple[str, str]
SERVICES = ("taxi", "eats", "grocery")


@dataclass
class Order:
    """The truth about an order.

    Attributes:
        status: As its service has it.
        parts: Part -> version.
        is_finished: Whether it is over.
        reported: The versions that were reported, or None if nothing was.
        finish_is_reported: Whether its end was reported.
    """

    status: str
    parts: dict[str, int]
    is_finished: bool = False
    reported: dict[str, int] | None = None
    finish_is_reported: bool = False

    def report(self) -> None:
        """Reports what is true now."""
        self.reported = dict(self.parts)
        self.finish_is_reported = self.is_finished


@dataclass
class OrderStateByModel:
    """Returns what a poll must return.

    Attributes:
        orders: What is true.
        down: Services that are unavailable.
    """

    orders: dict[Key, Order] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)

    def response(self, known_orders: Sequence[KnownOrder], tags: Mapping[str, str]) -> OrdersState:
        """Returns what a poll must return now."""
        known = {(one.service, one.orderid): one for one in known_orders}
        assert len(known) == len(known_orders)
        states: list[OrderState] = []
        next_tags: dict[str, str] = {}
        for service in SERVICES:
            of_service = {key: one for key, one in known.items() if key[0] == service}
            if service in tags:
                assert tags[service] == f"opaque {service}"
            if service in tags and service not in self.down:
                states += self._truth(service, of_service)
            elif self._table(service, of_service, states, was_queried=service in tags):
                next_tags[service] = f"opaque {service}"
        order = list(known)
        states.sort(key=lambda one: order.index(key) if (key := (one.service, one.orderid)) in known else len(order))
        allowed = tuple(AllowedChanges(service, can_make_more_orders=True) for service in SERVICES)
        return OrdersState(tuple(states), allowed, next_tags)

    def _truth(self, service: str, known: Mapping[Key, KnownOrder]) -> list[OrderState]:
        states = []
        for key, order in self.orders.items():
            if key[0] == service and not order.is_finished:
                # What is listed on the way is recorded, so that no version goes back.
                if order.reported is not None:
                    order.reported = dict(order.parts)
                states.append(_state(key, order.status, order.parts, known.get(key), UpdateStatus.ACTUAL))
        return states

    def _table(
        self, service: str, known: Mapping[Key, KnownOrder], states: list[OrderState], *, was_queried: bool
    ) -> bool:
        """Appends what was reported; returns whether that may be out of date."""
        doubtful = was_queried
        for key, one in known.items():
            order = self.orders.get(key)
            is_known = order is not None and order.reported is not None and not order.finish_is_reported
            status = UpdateStatus.ACTUAL if is_known and not was_queried else UpdateStatus.STALE
            doubtful |= status is UpdateStatus.STALE
            versions = (order.reported if order is not None else None) or {}
            states.append(_state(key, one.status, versions, one, status))
        for key, order in self.orders.items():
            if key[0] == service and key not in known:
                doubtful |= order.reported is not None and not order.finish_is_reported
        return doubtful


def _state(
    key: Key, status: str, versions: Mapping[str, int], known: KnownOrder | None, update_status: UpdateStatus
) -> OrderState:
    own = {} if known is None else dict(known.tags)
    tags = own | {name: str(version) for name, version in versions.items()}
    force = known is not None and known.force
    need = [name for name in sorted(versions) if force or own.get(name) != tags[name]]
    return OrderState(key[1], key[0], status, tags, tuple(need), update_status)
