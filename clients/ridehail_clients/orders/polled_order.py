"""One order that an app polls: its known state, and which of its parts are wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeAlias

from ridehail_clients.models import LaunchKnownOrder, LaunchOrder, OrderState, UpdateStatus
from ridehail_clients.orders.cards import CardPart, OrderCard, Part
from ridehail_kernel.json_values import JsonObject

# What the contract takes.
_MAX_TAGS: Final = 20
_MAX_STATUS_LENGTH: Final = 128

Key: TypeAlias = tuple[str, str]
"""Service and id of an order."""


@dataclass(frozen=True, slots=True, eq=False)
class PartFetch(Generic[Part]):
    """The fetch of a part, under way.

    Attributes:
        number: Its place among the fetches, which are numbered as they begin.
        order: The order.
        part_name: The part.
        tag: Of the wanted version, or None if no version is known.
        began_at: When it began.
    """

    number: int
    order: PolledOrder[Part]
    part_name: str
    tag: str | None
    began_at: float


@dataclass(slots=True, eq=False)
class PolledOrder(Generic[Part]):
    """The known state of an order.

    Attributes:
        service: The service that keeps it.
        orderid: The order.
        status: In the service's own words.
        update_status: Whether all of this may be out of date.
        details: Further details.
        other: The app's own members.
        current: The tags of the last response.
        wanted: Parts that the last response requests, and that are not there at its tag.
        forced: Parts that are wanted whatever their tag -> the number of the last fetch that is too old for it.
        force_from: The number of the first poll that forces all parts, or None if none does.
        parts: Those that were fetched.
        fetches: The number of the fetch that brought each of them.
        under_way: The fetch of each part that began last, while it is under way.
    """

    service: str
    orderid: str
    status: str = ""
    update_status: UpdateStatus = UpdateStatus.STALE
    details: JsonObject | None = None
    other: JsonObject = field(default_factory=dict)
    current: dict[str, str] = field(default_factory=dict)
    wanted: tuple[str, ...] = ()
    forced: dict[str, int] = field(default_factory=dict)
    force_from: int | None = None
    parts: dict[str, CardPart[Part]] = field(default_factory=dict)
    fetches: dict[str, int] = field(default_factory=dict)
    under_way: dict[str, PartFetch[Part]] = field(default_factory=dict)

    @classmethod
    def restored(cls, card: OrderCard[Part]) -> PolledOrder[Part]:
        """Restores an order of an earlier run of the app."""
        return cls(
            card.service,
            card.orderid,
            status=card.status,
            details=card.details,
            other=card.other,
            parts=dict(card.parts),
        )

    @classmethod
    def added(cls, state: OrderState) -> PolledOrder[Part]:
        """Creates an order that the app has not known; `update` is still to be called."""
        order = cls(state.service, state.orderid)
        order._overwrite(state)
        return order

    @property
    def key(self) -> Key:
        return self.service, self.orderid

    @property
    def due(self) -> tuple[str, ...]:
        """The parts to fetch, as they were listed."""
        return tuple(dict.fromkeys((*self.forced, *self.wanted)))

    def update(
        self, state: OrderState, *, forced_by: int, last_fetch: int, is_fetched_by_tag: Callable[[str, str], bool]
    ) -> None:
        """Updates the order from a response. While that is stale, the app keeps its own status and details.

        Args:
            state: From the response.
            forced_by: The number of the poll.
            last_fetch: The number of the fetch that began last.
            is_fetched_by_tag: Whether order state decides about a part of a service.
        """
        if state.update_status is UpdateStatus.ACTUAL:
            self._overwrite(state)
        self.update_status = state.update_status
        self.current = dict(state.tags)
        requested = tuple(name for name in state.need_request if is_fetched_by_tag(self.service, name))
        self.wanted = tuple(name for name in requested if not self._has(name, state.tags.get(name)))
        # A part of which no version is known may not exist, and is not requested again and again.
        self.forced = {
            name: too_old for name, too_old in self.forced.items() if name in self.current or name in self.parts
        }
        if self.is_forced_by(forced_by):
            self.force_from = None
            self.forced |= dict.fromkeys(requested, last_fetch)

    def is_forced_by(self, poll: int) -> bool:
        """Returns whether the poll of this number forces all parts."""
        return self.force_from is not None and self.force_from <= poll

    def begin_fetch(self, part_name: str, *, number: int, now: float, by_rule: bool) -> PartFetch[Part] | None:
        """Begins to fetch a part.

        Args:
            part_name: The part.
            number: Of the fetch.
            now: The time.
            by_rule: Whether the app's own rule wants it.

        Returns:
            The fetch, or None if the part is not wanted any more or is being fetched.
        """
        tag, under_way = self._newest_tag(part_name), self.under_way.get(part_name)
        too_old = self.forced.get(part_name)
        if too_old is not None:
            is_wanted, is_coming = True, under_way is not None and under_way.number > too_old
        else:
            is_wanted = by_rule or part_name in self.wanted
            is_coming = under_way is not None and under_way.tag == tag
        if is_coming or not is_wanted:
            return None
        self.under_way[part_name] = fetch = PartFetch(number, self, part_name, tag, now)
        return fetch

    def keep(self, fetch: PartFetch[Part], content: Part) -> None:
        """Keeps the content of a part and its tag, unless a later fetch was faster."""
        name = fetch.part_name
        if self.fetches.get(name, 0) > fetch.number:
            return
        self.fetches[name] = fetch.number
        self.parts[name] = CardPart(content, fetch.tag, fetch.began_at)
        if self._newest_tag(name) == fetch.tag:
            self.wanted = tuple(one for one in self.wanted if one != name)
        if self.forced.get(name, fetch.number) < fetch.number:
            del self.forced[name]

    def end_fetch(self, fetch: PartFetch[Part]) -> None:
        """Ends a fetch. A part that it did not bring keeps its old tag, so order state requests it again."""
        if self.under_way.get(fetch.part_name) is fetch:
            del self.under_way[fetch.part_name]

    def known(self, *, forced_by: int) -> LaunchKnownOrder:
        """Returns the order as the poll of this number sends it."""
        tagged = [(name, part.tag) for name, part in self.parts.items() if part.tag is not None]
        return LaunchKnownOrder(
            orderid=self.orderid,
            service=self.service,
            status=self.status[:_MAX_STATUS_LENGTH],
            tags=dict(tagged[:_MAX_TAGS]),
            force=self.is_forced_by(forced_by),
            details=self.details,
            other=self.other,
        )

    def card(self, *, required: Iterable[str]) -> OrderCard[Part]:
        """Returns the order as it can be shown, if the required parts are there."""
        return OrderCard(
            orderid=self.orderid,
            service=self.service,
            status=self.status,
            update_status=self.update_status,
            details=self.details,
            other=self.other,
            parts=dict(self.parts),
            outdated=self.due,
            missing=tuple(name for name in required if name not in self.parts),
        )

    def _overwrite(self, state: OrderState) -> None:
        self.status = state.status
        self.details = state.details
        if isinstance(state, LaunchOrder):
            self.other = state.other

    def _newest_tag(self, part_name: str) -> str | None:
        part = self.parts.get(part_name)
        return self.current.get(part_name, None if part is None else part.tag)

    def _has(self, part_name: str, tag: str | None) -> bool:
        part = self.parts.get(part_name)
        return part is not None and tag is not None and part.tag == tag
