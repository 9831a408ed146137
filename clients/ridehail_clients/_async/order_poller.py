"""The poller of an app: polls its rider's orders, fetches the parts that have changed, and keeps what it can show.

Source: "client logic" of the design of orders' polling: it starts when launch brings `mlutp_orders_state`, sends `tags`
with the next poll, expects orders to come and go, and reports parts that are not valid to a metric.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Generic, Protocol, TypeVar

from ridehail_clients._async.invalid_part_reports import AsyncInvalidPartReports, AsyncReport
from ridehail_clients.errors import ServiceError
from ridehail_clients.local_work import AsyncSleep, async_sleep
from ridehail_clients.models import (
    AllowedChanges,
    KnownOrder,
    LaunchKnownOrder,
    MlutpOrdersState,
    OrdersState,
    PollingPolicy,
)
from ridehail_clients.orders.cards import (
    DueRule,
    OnInvalidPart,
    OrderCard,
    Part,
    PartInvalid,
    PolledPart,
    PollReport,
)
from ridehail_clients.orders.polled_order import PartFetch
from ridehail_clients.orders.polling_pauses import PollingPace, PollingPauses
from ridehail_clients.orders.polling_state import DuePart, PollingState
from ridehail_kernel.availability import is_unavailable

Fetched_co = TypeVar("Fetched_co", covariant=True)


class AsyncPoll(Protocol):
    """Polls order state: `AsyncPassengerOrderStateClient.poll_orders_state`, or what has the same signature."""

    async def __call__(self, *, known_orders: Sequence[KnownOrder], tags: Mapping[str, str]) -> OrdersState:
        """Returns the response, or raises `ServiceError`."""


class AsyncFetch(Protocol[Fetched_co]):
    """Fetches a part of an order, from the service that keeps the order."""

    async def __call__(self, service: str, orderid: str, part_name: str, policy: PollingPolicy | None, /) -> Fetched_co:
        """Returns the part. It needs a timeout of its own: until it ends, nothing else is fetched.

        Args:
            service: The service that keeps the order.
            orderid: The order.
            part_name: The part.
            policy: Where it is fetched and what belongs to it, or None if there is no policy for it.

        Raises:
            PartInvalid: The content is not valid for the part.
            Exception: It cannot be fetched now.
        """


class AsyncOrderPoller(Generic[Part]):
    """The orders of one rider, kept up to date.

    A part is fetched when order state says that it has changed, and its new tag is kept once that has succeeded: so no
    change is missed, and nothing is fetched without need. Parts are fetched one after the other, by priority.

    Calls may overlap, from any number of tasks or threads. One that is cancelled leaves everything as after a failure:
    the next poll makes up for it.

    Args:
        poll: Polls order state: `poll_orders_state` of a client that acts for the rider.
        fetch: Fetches a part.
        rules: Decide when a part is fetched whose `polling_type` is not `tag_defined`, by polling type. Called after
            every poll, for every order. Parts with another polling type are left to the app.
        cards: Kept from an earlier run of the app. Their tags go out with the first poll or with launch.
        on_invalid_part: Counts parts that were not valid, by service, part and reason.
        report: Reports parts that were not valid, in batches and beside the polls: `report_invalid_parts` of a client
            that acts for the rider, or None if they are not reported. No poll waits for a report, or fails with it.
        pauses: How long `run` pauses where the server does not say.
        clock: Returns the seconds since the epoch.
        random: Draws how long pauses are, from 0 to 1.
        sleep: Makes a pause.

    Raises:
        ValueError: There is a rule for `tag_defined`.
    """

    def __init__(
        self,
        poll: AsyncPoll,
        fetch: AsyncFetch[Part],
        *,
        rules: Mapping[str, DueRule[Part]] = MappingProxyType({}),
        cards: Iterable[OrderCard[Part]] = (),
        on_invalid_part: OnInvalidPart | None = None,
        report: AsyncReport | None = None,
        pauses: PollingPauses = PollingPauses(),  # noqa: B008  # frozen
        clock: Callable[[], float] = time.time,
        random: Callable[[], float] = random.random,
        sleep: AsyncSleep = async_sleep,
    ) -> None:
        self._poll = poll
        self._fetch = fetch
        self._on_invalid_part = on_invalid_part
        self._orders = PollingState(cards, rules)
        self._reports = AsyncInvalidPartReports(report, clock=clock, random=random)
        self._pace = PollingPace(pauses)
        self._clock = clock
        self._random = random
        self._sleep = sleep
        self._is_started = False

    @property
    def is_started(self) -> bool:
        """Whether launch has switched this kind of polling on."""
        return self._is_started

    @property
    def cards(self) -> tuple[OrderCard[Part], ...]:
        """The orders as the app can show them, as they were listed last."""
        return self._orders.cards

    @property
    def allowed_changes(self) -> Mapping[str, AllowedChanges]:
        """Whether the rider may order more, by service, as of the last response."""
        return self._orders.allowed_changes

    @property
    def known_orders(self) -> tuple[LaunchKnownOrder, ...]:
        """The orders as launch takes them."""
        return self._orders.known_orders

    async def start(self, launched: MlutpOrdersState | None) -> PollReport | None:
        """Applies the response of launch, and fetches the parts that it requests. May be called after every launch.

        From now on orders are those of the services that launch was asked for, as `allowed_changes` has them.

        Args:
            launched: The `mlutp_orders_state` of launch, or None if it has none.

        Returns:
            What was fetched, or None if launch has left this kind of polling off: the poller does not start, or stops.
        """
        if launched is None:
            self._is_started = False
            return None
        self._is_started = True
        self._pace.responded(launched.polling_schedule, self._clock())
        return await self._fetch_all(self._orders.launched(launched))

    async def poll_once(self) -> PollReport:
        """Polls order state once, and fetches the parts that are due.

        For pull-to-refresh, after `force`, and for an app that paces its polls itself, by `pause_s`.

        Returns:
            What was fetched.

        Raises:
            RuntimeError: The poller is not started.
            ServiceError: The poll failed; the orders are as they were.
        """
        if not self._is_started:
            raise RuntimeError("the poller is not started: launch has left this kind of polling off")
        poll = self._orders.begin()
        try:
            response = await self._poll(known_orders=poll.known_orders, tags=poll.tags)
        except ServiceError as error:
            self._pace.failed(error.retry_after)
            raise
        self._pace.responded(response.polling_schedule, self._clock())
        due = self._orders.finish(poll, response)
        return PollReport(applied=False) if due is None else await self._fetch_all(due)

    def force(self, *, service: str | None = None, orderid: str | None = None) -> bool:
        """Has all parts of orders fetched after the next poll, whatever their tags. Without arguments: of all orders.

        Args:
            service: Only orders of this service, or None for all.
            orderid: Only orders of this id, or None for all.

        Returns:
            Whether there is such an order.
        """
        return self._orders.force(service, orderid)

    def pause_s(self) -> float:
        """Returns how many seconds the next poll should wait: until the slot that the server has given the rider.

        Without one, and after a failure, it is drawn: from a longer time, the more polls have failed in a row.
        """
        return self._pace.pause_s(self._clock(), self._random())

    async def run(self) -> None:
        """Pauses and polls, again and again, until `stop` is called or `start` gets None.

        For a task or thread of its own, after `start`. While order state is unavailable, pauses grow. It may be
        cancelled, and run again.

        Raises:
            RuntimeError: The poller is not started.
            ServiceError: Order state returned an error that a repeat would bring again, such as an expired session.
        """
        if not self._is_started:
            raise RuntimeError("the poller is not started: launch has left this kind of polling off")
        while self._is_started:
            await self._sleep(self.pause_s())
            if not self._is_started:
                return
            try:
                await self.poll_once()
            except ServiceError as error:
                if not is_unavailable(error):
                    raise

    def stop(self) -> None:
        """Has `run` end before its next poll: at once if `sleep` is one that the app can end. `start` starts again."""
        self._is_started = False

    async def _fetch_all(self, due: Sequence[DuePart[Part]]) -> PollReport:
        done = [await self._fetch_if_due(one) for one in due]
        self._reports.start_if_due()
        return PollReport(
            applied=True,
            fetched=tuple(one for one in done if one is not None and one.error is None),
            failed=tuple(one for one in done if one is not None and one.error is not None),
        )

    async def _fetch_if_due(self, due: DuePart[Part]) -> PolledPart | None:
        service, orderid = due.key
        try:
            if not self._is_due(due):
                return None
            fetch = self._orders.begin_fetch(due, self._clock())
            if fetch is None:
                return None
            await self._fetch_part(due, fetch)
        except Exception as error:  # whatever a fetcher raises, the other parts are fetched
            if isinstance(error, PartInvalid):
                self._count_invalid(service, due.part_name, error)
            return PolledPart(service, orderid, due.part_name, error)
        return PolledPart(service, orderid, due.part_name)

    def _count_invalid(self, service: str, part_name: str, error: PartInvalid) -> None:
        if self._on_invalid_part is not None:
            self._on_invalid_part(service, part_name, error.reason)
        self._reports.count(service, part_name, error)

    def _is_due(self, due: DuePart[Part]) -> bool:
        if due.rule is None or due.policy is None:
            return True
        card = self._orders.card(due.key)
        return card is not None and due.rule(card, due.policy)

    async def _fetch_part(self, due: DuePart[Part], fetch: PartFetch[Part]) -> None:
        service, orderid = due.key
        try:
            self._orders.keep(fetch, await self._fetch(service, orderid, due.part_name, due.policy))
        finally:
            self._orders.end_fetch(fetch)
