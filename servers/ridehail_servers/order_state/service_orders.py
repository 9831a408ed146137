"""Decides what an app receives of one service's orders, given the result of querying their provider."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from .order_parts import current_versions, parts_to_request, returned_tags
from .orders import ActiveOrder, ActiveOrders, KnownOrder, OrderKey, OrderState, RecordedOrder, UpdateStatus
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


@dataclass(frozen=True, slots=True)
class ServiceOrders:
    """What an app receives of a service's orders.

    Attributes:
        known: Those that the app knew; one that is missing here has gone.
        added: The others.
        count: How many orders of the service the rider has, as far as known.
        next_token: What the app polls with next: a new token, its old one again, or nothing.
    """

    known: Mapping[OrderKey, OrderState]
    added: Sequence[OrderState]
    count: int
    next_token: TokenKind | str | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known of a service's orders of one rider without its provider.

    Attributes:
        known: What the app knows.
        recorded: What is stored.
        policy_parts: The service's parts that the policy names, by priority.
    """

    service: str
    known: Mapping[OrderKey, KnownOrder]
    recorded: Mapping[OrderKey, RecordedOrder]
    policy_parts: Sequence[str]

    def state(self, key: OrderKey, status: UpdateStatus, listed: ActiveOrder | None = None) -> OrderState:
        """Returns an order as the app receives it.

        Args:
            key: An order that the app knows, that is listed, or that is stored.
            status: How far that can be trusted.
            listed: As its provider lists it; without that the app's own status and details stand, and an order that is
                only stored has none.
        """
        known = self.known.get(key)
        shown = listed or known
        versions = current_versions(listed, self.recorded.get(key), self.policy_parts)
        return OrderState(
            key=key,
            status="" if shown is None else shown.status,
            tags=returned_tags(known, versions),
            need_request=parts_to_request(known, versions, self.policy_parts),
            update_status=status,
            details=None if shown is None else shown.details,
        )

    def under_way(self) -> set[OrderKey]:
        """Returns the orders that the provider reported and did not report the end of."""
        return {key for key, one in self.recorded.items() if one.is_under_way}

    def count(self) -> int:
        """Counts the orders that are under way, and those that the app knows unless their end was reported."""
        ended = {key for key, one in self.recorded.items() if one.has_ended}
        return len(self.under_way() | (self.known.keys() - ended))


def service_orders(snapshot: Snapshot, result: ProviderResult) -> ServiceOrders:
    """Decides what an app receives of one service's orders."""
    if isinstance(result, ActiveOrders):
        return _as_listed(snapshot, result)
    if isinstance(result, Skipped):
        return _as_reported(snapshot)
    unknown = sorted(snapshot.under_way() - snapshot.known.keys(), key=lambda key: key.orderid)
    return ServiceOrders(
        known={key: snapshot.state(key, UpdateStatus.STALE) for key in snapshot.known},
        added=[snapshot.state(key, UpdateStatus.STALE) for key in unknown],
        count=snapshot.count(),
        next_token=result.poll_token if isinstance(result, Throttled) else TokenKind.JUST_QUERIED,
    )


def _as_listed(snapshot: Snapshot, result: ActiveOrders) -> ServiceOrders:
    listed = {OrderKey(snapshot.service, order.orderid): order for order in result.orders}
    states = {key: snapshot.state(key, UpdateStatus.ACTUAL, order) for key, order in listed.items()}
    # The list stands, but either it or a report is late. To query again at once would be to query all the time.
    contradicted = any(_contradicts(one, listed.get(one.key)) for one in snapshot.recorded.values())
    return ServiceOrders(
        known={key: state for key, state in states.items() if key in snapshot.known},
        added=[state for key, state in states.items() if key not in snapshot.known],
        count=len(states),
        next_token=TokenKind.JUST_QUERIED if contradicted else None,
    )


def _contradicts(recorded: RecordedOrder, listed: ActiveOrder | None) -> bool:
    if listed is None:
        return recorded.is_under_way
    return recorded.has_ended and recorded.finish_sequence >= listed.sequence


def _as_reported(snapshot: Snapshot) -> ServiceOrders:
    states = {}
    tokens: list[TokenKind] = []
    for key in snapshot.known:
        recorded = snapshot.recorded.get(key)
        is_actual = recorded is not None and recorded.is_under_way
        states[key] = snapshot.state(key, UpdateStatus.ACTUAL if is_actual else UpdateStatus.STALE)
        if not is_actual:
            has_ended = recorded is not None and recorded.has_ended
            tokens.append(TokenKind.QUERY_NOW if has_ended else TokenKind.JUST_QUERIED)
    if not snapshot.under_way() <= snapshot.known.keys():
        tokens.append(TokenKind.QUERY_NOW)
    return ServiceOrders(known=states, added=(), count=snapshot.count(), next_token=_most_urgent(tokens))


def _most_urgent(tokens: Iterable[TokenKind]) -> TokenKind | None:
    found = set(tokens)
    return next((kind for kind in (TokenKind.QUERY_NOW, TokenKind.JUST_QUERIED) if kind in found), None)
