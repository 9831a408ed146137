"""What is answered of one service's orders, whether it was asked or not, and whether it answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from .need_request import answered_tags, parts_to_request
from .orders import ActiveOrder, KnownOrder, OrderKey, OrderState, ProviderAnswer, RecordedOrder, UpdateStatus
from .part_versions import current_versions


@dataclass(frozen=True, slots=True)
class NotAsked:
    """The app did not want the service to be asked."""


@dataclass(frozen=True, slots=True)
class TooEarly:
    """The service was asked for this rider a short while ago.

    Attributes:
        tag: The app's tag that says so.
    """

    tag: str


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The service was asked, and did not answer."""


Heard: TypeAlias = ProviderAnswer | NotAsked | TooEarly | NoAnswer
"""What a service let hear of itself."""


class NewTag(Enum):
    """What a fresh tag says."""

    ASK_NOW = auto()
    JUST_ASKED = auto()


NextTag: TypeAlias = NewTag | str | None
"""What the app is told to poll with: a fresh tag, its old one again, or nothing."""


@dataclass(frozen=True, slots=True)
class ServiceOrders:
    """What is answered of a service's orders.

    Attributes:
        known: Those that the app knew; one that is missing here has gone.
        added: The others.
        count: How many orders of the service the rider has, as far as known.
        next_tag: What the app polls with to hear more.
    """

    known: Mapping[OrderKey, OrderState]
    added: Sequence[OrderState]
    count: int
    next_tag: NextTag


@dataclass(frozen=True, slots=True)
class Beliefs:
    """All that is known of a service's orders of one rider before the service itself is heard.

    Attributes:
        service: The service.
        known: What the app knows.
        recorded: What is stored.
        policy_parts: The service's parts that the policy names, by priority.
    """

    service: str
    known: Mapping[OrderKey, KnownOrder]
    recorded: Mapping[OrderKey, RecordedOrder]
    policy_parts: Sequence[str]

    def state(self, key: OrderKey, *, told: ActiveOrder | None, status: UpdateStatus) -> OrderState:
        """Returns an order as it is answered.

        Args:
            key: The order: one that the app knows, one that is told, or one that is stored.
            told: What the service tells of it; None: it is not heard, and the app's own word stands. An order that is
                only stored has no status and no details.
            status: How far that can be trusted.
        """
        known = self.known.get(key)
        shown = told or known
        versions = current_versions(told, self.recorded.get(key), self.policy_parts)
        return OrderState(
            key=key,
            status="" if shown is None else shown.status,
            tags=answered_tags(known, versions),
            need_request=parts_to_request(known, versions, self.policy_parts),
            update_status=status,
            details=None if shown is None else shown.details,
        )

    def under_way(self) -> set[OrderKey]:
        """Returns the orders that the service reported and did not report the end of."""
        return {key for key, one in self.recorded.items() if one.reported and not one.finished}

    def count(self) -> int:
        """Returns how many orders the rider has without the service's word: what is under way, and what the app knows.

        The end of an order that the app still knows may have been reported.
        """
        ended = {key for key, one in self.recorded.items() if one.reported and one.finished}
        return len(self.under_way() | (self.known.keys() - ended))


def service_orders(beliefs: Beliefs, heard: Heard) -> ServiceOrders:
    """Decides what is answered of one service's orders.

    Args:
        beliefs: What is known beforehand.
        heard: What the service let hear.
    """
    if isinstance(heard, ProviderAnswer):
        return _as_told(beliefs, heard)
    if isinstance(heard, NotAsked):
        return _as_reported(beliefs)
    unknown = sorted(beliefs.under_way() - beliefs.known.keys(), key=lambda key: key.orderid)
    return ServiceOrders(
        known={key: beliefs.state(key, told=None, status=UpdateStatus.STALE) for key in beliefs.known},
        added=[beliefs.state(key, told=None, status=UpdateStatus.STALE) for key in unknown],
        count=beliefs.count(),
        next_tag=heard.tag if isinstance(heard, TooEarly) else NewTag.JUST_ASKED,
    )


def _as_told(beliefs: Beliefs, answer: ProviderAnswer) -> ServiceOrders:
    told = {OrderKey(beliefs.service, order.orderid): order for order in answer.orders}
    states = {key: beliefs.state(key, told=order, status=UpdateStatus.ACTUAL) for key, order in told.items()}
    # The service's word stands, but one of the two is late. To look again at once would be to look all the time.
    contradicted = any(_contradicts(one, told.get(one.key)) for one in beliefs.recorded.values())
    return ServiceOrders(
        known={key: state for key, state in states.items() if key in beliefs.known},
        added=[state for key, state in states.items() if key not in beliefs.known],
        count=len(states),
        next_tag=NewTag.JUST_ASKED if contradicted else None,
    )


def _contradicts(recorded: RecordedOrder, told: ActiveOrder | None) -> bool:
    if not recorded.reported:
        return False
    if told is None:
        return not recorded.finished
    return recorded.finished and recorded.finish_sequence >= told.sequence


def _as_reported(beliefs: Beliefs) -> ServiceOrders:
    states = {}
    tags: list[NewTag] = []
    for key in beliefs.known:
        recorded = beliefs.recorded.get(key)
        is_actual = recorded is not None and recorded.reported and not recorded.finished
        states[key] = beliefs.state(key, told=None, status=UpdateStatus.ACTUAL if is_actual else UpdateStatus.STALE)
        if not is_actual:
            has_ended = recorded is not None and recorded.reported
            tags.append(NewTag.ASK_NOW if has_ended else NewTag.JUST_ASKED)
    if not beliefs.under_way() <= beliefs.known.keys():
        tags.append(NewTag.ASK_NOW)
    return ServiceOrders(known=states, added=(), count=beliefs.count(), next_tag=_most_urgent(tags))


def _most_urgent(tags: Iterable[NewTag]) -> NewTag | None:
    found = set(tags)
    return next((tag for tag in (NewTag.ASK_NOW, NewTag.JUST_ASKED) if tag in found), None)
