"""The orders that an app polls: which there are, what each response changes, and which parts that makes due."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic

from ridehail_clients.models import (
    AllowedChanges,
    LaunchKnownOrder,
    MlutpOrdersState,
    OrdersState,
    OrderState,
    PollingPolicy,
    UpdateStatus,
)
from ridehail_clients.orders.cards import DueRule, OrderCard, Part
from ridehail_clients.orders.polled_order import Key, PartFetch, PolledOrder

BY_TAG: Final = "tag_defined"
"""The polling type of parts that are fetched when order state says so."""

# What the contract takes.
_MAX_ORDERS: Final = 50


@dataclass(frozen=True, slots=True)
class Poll:
    """A poll that is under way.

    Attributes:
        number: Its place among the polls, which are numbered as they begin.
        known_orders: The orders to send.
        tags: Those of the last response, to send.
    """

    number: int
    known_orders: tuple[LaunchKnownOrder, ...]
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DuePart(Generic[Part]):
    """A part that is to be fetched.

    Attributes:
        key: The order.
        part_name: The part.
        policy: How it is polled, or None if there is no policy for it.
        rule: Decides whether it is fetched, or None if order state has decided so.
    """

    key: Key
    part_name: str
    policy: PollingPolicy | None
    rule: DueRule[Part] | None


class PollingState(Generic[Part]):
    """The orders of one rider, for any number of threads.

    Args:
        cards: Of an earlier run of the app.
        rules: The app's own rules of fetching, by polling type.

    Raises:
        ValueError: There is a rule for `tag_defined`.
    """

    def __init__(self, cards: Iterable[OrderCard[Part]], rules: Mapping[str, DueRule[Part]]) -> None:
        if BY_TAG in rules:
            raise ValueError(f"{BY_TAG} has no rule of the app's own")
        self._rules = dict(rules)
        self._lock = threading.Lock()
        self._orders = {one.key: one for one in map(PolledOrder.restored, cards)}
        self._services: frozenset[str] = frozenset()
        self._policies: dict[tuple[str, str], PollingPolicy] = {}
        self._allowed_changes: dict[str, AllowedChanges] = {}
        self._tags: Mapping[str, str] = {}
        self._polls = 0
        self._applied = 0
        self._fetches = 0

    @property
    def cards(self) -> tuple[OrderCard[Part], ...]:
        """The orders as they can be shown."""
        with self._lock:
            return tuple(self._card(one) for one in self._orders.values())

    @property
    def allowed_changes(self) -> Mapping[str, AllowedChanges]:
        """Whether more may be ordered, by service."""
        with self._lock:
            return dict(self._allowed_changes)

    @property
    def known_orders(self) -> tuple[LaunchKnownOrder, ...]:
        """The orders as launch takes them. What is forced is left to the next poll."""
        with self._lock:
            return self._known(forced_by=0)

    def card(self, key: Key) -> OrderCard[Part] | None:
        """Returns an order as it can be shown, or None if it is not known any more."""
        with self._lock:
            order = self._orders.get(key)
            return None if order is None else self._card(order)

    def force(self, service: str | None, orderid: str | None) -> bool:
        """Has the next poll request all parts of some orders.

        Args:
            service: Only orders of this service, or None for all.
            orderid: Only orders of this id, or None for all.

        Returns:
            Whether there is such an order.
        """
        with self._lock:
            of_service = [one for one in self._orders.values() if service in {None, one.service}]
            forced = [one for one in of_service if orderid in {None, one.orderid}]
            for one in forced:
                one.force_from = self._polls + 1
            return bool(forced)

    def begin(self) -> Poll:
        """Begins a poll."""
        with self._lock:
            self._polls += 1
            return Poll(self._polls, self._known(forced_by=self._polls), dict(self._tags))

    def launched(self, state: MlutpOrdersState) -> Sequence[DuePart[Part]]:
        """Applies the response of launch to `known_orders`; responses of polls that are under way will be ignored.

        Returns:
            The parts that are due, in the order of fetching.
        """
        with self._lock:
            # Polls return orders of all services, launch of those that the app can show.
            self._services = frozenset(one.service for one in state.allowed_changes)
            self._policies = {(one.service, one.part_name): one for one in state.polling_policy}
            self._polls += 1
            self._applied = self._polls
            listed = OrdersState(orders=state.orders, allowed_changes=state.allowed_changes, tags=state.tags)
            return self._apply(listed, sent=set(self._orders), forced_by=0)

    def finish(self, poll: Poll, response: OrdersState) -> Sequence[DuePart[Part]] | None:
        """Applies the response of a poll.

        Returns:
            The parts that are due, in the order of fetching, or None if a later poll was applied before.
        """
        with self._lock:
            if poll.number <= self._applied:
                return None
            self._applied = poll.number
            sent = {(one.service, one.orderid) for one in poll.known_orders}
            return self._apply(response, sent=sent, forced_by=poll.number)

    def begin_fetch(self, due: DuePart[Part], now: float) -> PartFetch[Part] | None:
        """Begins to fetch a part.

        Returns:
            The fetch, or None if the order is gone, the part is there by now, or it is being fetched.
        """
        with self._lock:
            order = self._orders.get(due.key)
            if order is None:
                return None
            self._fetches += 1
            return order.begin_fetch(due.part_name, number=self._fetches, now=now, by_rule=due.rule is not None)

    def keep(self, fetch: PartFetch[Part], content: Part) -> None:
        """Keeps the content of a part and its tag, unless a later fetch was faster."""
        with self._lock:
            fetch.order.keep(fetch, content)

    def end_fetch(self, fetch: PartFetch[Part]) -> None:
        """Ends a fetch; if it brought nothing, the next poll requests the part again."""
        with self._lock:
            fetch.order.end_fetch(fetch)

    def _apply(self, response: OrdersState, *, sent: set[Key], forced_by: int) -> Sequence[DuePart[Part]]:
        self._tags = {service: tag for service, tag in response.tags.items() if service in self._services}
        self._allowed_changes = {one.service: one for one in response.allowed_changes if one.service in self._services}
        orders = {(one.service, one.orderid): one for one in response.orders if one.service in self._services}
        listed = {key: self._listed(key, state, sent) for key, state in orders.items()}
        # An order that has come since the poll began is not in its response.
        others = {key: one for key, one in self._orders.items() if key not in sent | listed.keys()}
        kept = {key: one for key, one in listed.items() if one is not None} | others
        self._orders = dict(list(kept.items())[:_MAX_ORDERS])
        for key, order in self._orders.items():
            if key in orders:
                order.update(
                    orders[key],
                    forced_by=forced_by,
                    last_fetch=self._fetches,
                    is_fetched_by_tag=self._is_fetched_by_tag,
                )
        return self._due()

    def _listed(self, key: Key, state: OrderState, sent: set[Key]) -> PolledOrder[Part] | None:
        if key in self._orders:
            return self._orders[key]
        if key in sent and state.update_status is UpdateStatus.STALE:
            # It was dropped while the poll was under way, by a newer response.
            return None
        return PolledOrder.added(state)

    def _is_fetched_by_tag(self, service: str, part_name: str) -> bool:
        policy = self._policies.get((service, part_name))
        return policy is None or policy.polling_type == BY_TAG

    def _due(self) -> Sequence[DuePart[Part]]:
        due = [one for order in self._orders.values() for one in (*self._by_tag(order), *self._by_rule(order))]
        # Parts of the same priority stay as they were listed.
        return sorted(due, key=lambda one: (one.policy is None, 0 if one.policy is None else one.policy.priority))

    def _by_tag(self, order: PolledOrder[Part]) -> Iterable[DuePart[Part]]:
        return (DuePart(order.key, name, self._policies.get((order.service, name)), None) for name in order.due)

    def _by_rule(self, order: PolledOrder[Part]) -> Iterable[DuePart[Part]]:
        return (
            DuePart(order.key, policy.part_name, policy, self._rules[policy.polling_type])
            for policy in self._policies.values()
            if policy.service == order.service and policy.polling_type in self._rules
        )

    def _known(self, *, forced_by: int) -> tuple[LaunchKnownOrder, ...]:
        return tuple(one.known(forced_by=forced_by) for one in self._orders.values())

    def _card(self, order: PolledOrder[Part]) -> OrderCard[Part]:
        policies = [one for one in self._policies.values() if one.service == order.service]
        return order.card(required=[one.part_name for one in policies if one.required])
