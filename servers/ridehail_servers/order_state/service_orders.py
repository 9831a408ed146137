"""Decides what an app receives of one service's orders, given the result of querying their provider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from .order_parts import newest_versions, tags_and_needs
from .orders import ActiveOrder, ActiveOrders, KnownOrder, OrderState, RecordedOrder, UpdateStatus
from .poll_tokens import TokenKind


@dataclass(frozen=True, slots=True)
class Skipped:
    """The app did not ask for a query."""


@dataclass(frozen=True, slots=True)
class Throttled:
    """The provider was queried for this rider a short while ago, as the app's poll token says."""

    poll_token: str


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The provider was queried, and returned nothing usable in time."""


ProviderResult: TypeAlias = ActiveOrders | Skipped | Throttled | Unavailable
"""Result of querying a provider."""


class ServiceOrders(NamedTuple):
    """What an app receives of a service's orders.

    Attributes:
        known: Those that the app knew, by id; one that is missing here has gone.
        added: The others.
        total: How many orders of the service the rider has, as far as known.
        next_token: What the app polls with next: a new token, its old one again, or nothing.
    """

    known: Mapping[str, OrderState]
    added: Sequence[OrderState]
    total: int
    next_token: TokenKind | str | None


class Snapshot(NamedTuple):
    """What is known of a service's orders of one rider without its provider.

    Attributes:
        known: What the app knows, by id.
        recorded: What is stored, by id.
        policy_parts: The service's parts that the policy names, by priority.
    """

    service: str
    known: Mapping[str, KnownOrder]
    recorded: Mapping[str, RecordedOrder]
    policy_parts: Sequence[str]

    def state(self, orderid: str, status: UpdateStatus, listed: ActiveOrder | None = None) -> OrderState:
        """Returns an order as the app receives it.

        Args:
            orderid: Of an order that the app knows, that is listed, or that is stored.
            status: How far that can be trusted.
            listed: As its provider lists it; without that the app's own status and details stand, and an order that is
                only stored has none.
        """
        known = self.known.get(orderid)
        versions = newest_versions(listed, self.recorded.get(orderid))
        tags, needed = tags_and_needs(known, versions, self.policy_parts)
        shown = listed or known
        if shown is None:
            return OrderState(self.service, orderid, "", tags, needed, status, None)
        return OrderState(self.service, orderid, shown.status, tags, needed, status, shown.details)

    def unknown(self) -> list[str]:
        """Returns the orders that are under way as the provider reported, and that the app does not know."""
        return [orderid for orderid, one in self.recorded.items() if orderid not in self.known and one.is_under_way]

    def ended(self) -> list[str]:
        """Returns the orders that the app knows, and that have ended as the provider reported."""
        return [orderid for orderid, one in self.recorded.items() if one.has_ended and orderid in self.known]


def service_orders(snapshot: Snapshot, result: ProviderResult) -> ServiceOrders:
    """Decides what an app receives of one service's orders."""
    if isinstance(result, ActiveOrders):
        return _as_listed(snapshot, result)
    if isinstance(result, Skipped):
        return _as_reported(snapshot)
    unknown = snapshot.unknown()
    return ServiceOrders(
        known={orderid: snapshot.state(orderid, UpdateStatus.STALE) for orderid in snapshot.known},
        added=[snapshot.state(orderid, UpdateStatus.STALE) for orderid in sorted(unknown)],
        total=len(snapshot.known) - len(snapshot.ended()) + len(unknown),
        next_token=result.poll_token if isinstance(result, Throttled) else TokenKind.JUST_QUERIED,
    )


def _as_listed(snapshot: Snapshot, result: ActiveOrders) -> ServiceOrders:
    listed = {order.orderid: order for order in result.orders}
    states = {orderid: snapshot.state(orderid, UpdateStatus.ACTUAL, order) for orderid, order in listed.items()}
    # The list stands, but either it or a report is late. To query again at once would be to query all the time.
    contradicted = any(_contradicts(one, listed.get(orderid)) for orderid, one in snapshot.recorded.items())
    return ServiceOrders(
        known=states,
        added=[state for orderid, state in states.items() if orderid not in snapshot.known],
        total=len(states),
        next_token=TokenKind.JUST_QUERIED if contradicted else None,
    )


def _contradicts(recorded: RecordedOrder, listed: ActiveOrder | None) -> bool:
    if listed is None:
        return recorded.is_under_way
    return recorded.has_ended and recorded.finish_sequence >= listed.sequence


def _as_reported(snapshot: Snapshot) -> ServiceOrders:
    unknown, ended = snapshot.unknown(), snapshot.ended()
    states: dict[str, OrderState] = {}
    is_doubtful = False
    for orderid in snapshot.known:
        recorded = snapshot.recorded.get(orderid)
        if recorded is not None and recorded.is_under_way:
            states[orderid] = snapshot.state(orderid, UpdateStatus.ACTUAL)
        else:
            states[orderid] = snapshot.state(orderid, UpdateStatus.STALE)
            is_doubtful = True
    next_token = TokenKind.QUERY_NOW if unknown or ended else TokenKind.JUST_QUERIED if is_doubtful else None
    return ServiceOrders(states, (), len(states) - len(ended) + len(unknown), next_token)
