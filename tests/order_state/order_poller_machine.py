"""A poller against a model of order state: polls and fetches overlap, fail, are cancelled, and end in any order."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ridehail_clients import (
    AllowedChanges,
    AsyncOrderPoller,
    KnownOrder,
    MlutpOrdersState,
    OrdersState,
    PartInvalid,
    PollingPolicy,
    ServiceError,
    TransportUnavailable,
    UpdateStatus,
)
from tests.order_state.order_state_by_model import SERVICES, Key, Order, OrderStateByModel

PARTS = ("fast_info", "receipt")
indices = st.integers(0, 11)
keys = st.sampled_from([("taxi", "order1"), ("taxi", "order2"), ("eats", "order1")])
parts = st.sampled_from(PARTS)
DOWN = TransportUnavailable(grpc.StatusCode.UNAVAILABLE, message="scripted")


@dataclass(eq=False)
class PollCall:
    """A poll as order state sees it."""

    number: int
    known_orders: Sequence[KnownOrder]
    tags: Mapping[str, str]
    arrived: asyncio.Future[OrdersState]
    response: OrdersState | None = None


@dataclass(eq=False)
class FetchCall:
    """A fetch as the order's service sees it."""

    number: int
    key: Key
    part_name: str
    wanted: str | None
    arrived: asyncio.Future[int]
    content: int | None = None


@dataclass
class App:
    """What the app's own functions see."""

    loop: asyncio.AbstractEventLoop
    polls: list[PollCall] = field(default_factory=list)
    fetches: list[FetchCall] = field(default_factory=list)
    began: list[FetchCall] = field(default_factory=list)
    polled: int = 0
    wanted: dict[tuple[Key, str], str] = field(default_factory=dict)

    async def poll(self, *, known_orders: Sequence[KnownOrder], tags: Mapping[str, str]) -> OrdersState:
        self.polled += 1
        call = PollCall(self.polled, known_orders, tags, self.loop.create_future())
        self.polls.append(call)
        return await call.arrived

    async def fetch(self, service: str, orderid: str, part_name: str, policy: PollingPolicy | None) -> int:
        assert policy is None or (policy.service, policy.part_name) == (service, part_name)
        key = (service, orderid)
        call = FetchCall(
            len(self.began) + 1, key, part_name, self.wanted.get((key, part_name)), self.loop.create_future()
        )
        self.began.append(call)
        self.fetches.append(call)
        return await call.arrived


class OrderPollerMachine(RuleBasedStateMachine):
    """Orders change, reports of it are late, services are down; the app polls and fetches as it likes.

    The model keeps for each part the versions that fetches brought, and for each poll its response.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.state = OrderStateByModel()
        self.app = App(self.loop)
        self.poller = AsyncOrderPoller[int](self.app.poll, self.app.fetch, on_invalid_part=self.count_invalid)
        self.tasks: list[asyncio.Task[Any]] = []
        self.applied = 0
        self.last_applied: OrdersState | None = None
        self.brought: set[tuple[Key, str, int]] = set()
        self.invalid_expected = 0
        self.invalid_counted = 0
        self.version = 10
        self.forced: dict[tuple[Key, str], int] = {}
        self.promised: dict[tuple[Key, str], int] = {}
        self.launch_tags = {service: f"opaque {service}" for service in SERVICES}

    def count_invalid(self, service: str, part_name: str, reason: str) -> None:
        assert reason == "scripted"
        assert service in SERVICES
        assert part_name in PARTS
        self.invalid_counted += 1

    @initialize(known=st.dictionaries(keys, st.dictionaries(parts, st.integers(1, 3), min_size=1), max_size=3))
    def launch(self, known: dict[Key, dict[str, int]]) -> None:
        for key, versions in known.items():
            self.state.orders[key] = Order("new", dict(versions))
            self.state.orders[key].report()
        policy = tuple(
            PollingPolicy(service, part, "/url", (), "tag_defined", "totw", priority, required=part == "fast_info")
            for priority, part in enumerate(PARTS[:1])
            for service in SERVICES
        )
        allowed = tuple(AllowedChanges(service, can_make_more_orders=True) for service in SERVICES)
        launched = MlutpOrdersState(self.launch_tags, (), allowed, policy)
        started = self.loop.create_task(self.poller.start(launched))
        self.tasks.append(started)
        self.settle()

    # What happens to orders.

    @rule(key=keys, part=parts, is_reported=st.booleans())
    def an_order_starts_or_changes(self, key: Key, part: str, is_reported: bool) -> None:
        order = self.state.orders.get(key)
        if order is None or (order.is_finished and order.finish_is_reported):
            self.state.orders[key] = order = Order("new", {})
        order.is_finished = False
        self.version += 1
        order.parts[part] = self.version
        order.status = f"changed {self.version}"
        if is_reported:
            order.report()

    @precondition(lambda self: self.state.orders)
    @rule(index=indices, is_reported=st.booleans())
    def an_order_ends(self, index: int, is_reported: bool) -> None:
        order = list(self.state.orders.values())[index % len(self.state.orders)]
        order.is_finished = True
        if is_reported:
            order.report()

    @rule()
    def every_report_is_through(self) -> None:
        for order in self.state.orders.values():
            order.report()

    @rule(services=st.sets(st.sampled_from(SERVICES[:2])))
    def services_go_down(self, services: set[str]) -> None:
        self.state.down = services

    # What the app does.

    @precondition(lambda self: len(self.app.polls) < 4)
    @rule(count=st.integers(1, 3))
    def the_app_polls(self, count: int) -> None:
        for _ in range(count):
            self.tasks.append(self.loop.create_task(self.poller.poll_once()))
            self.settle()
            tags = self.launch_tags if self.last_applied is None else self.last_applied.tags
            assert self.app.polls[-1].tags == tags

    @rule(service=st.sampled_from([*SERVICES[:2], None]))
    def the_rider_pulls_to_refresh(self, service: str | None) -> None:
        orders = {key for key in self.listed if service in {None, key[0]}}
        assert self.poller.force(service=service) == bool(orders)
        self.promised |= {(key, name): len(self.app.began) for key in orders for name in PARTS}

    @precondition(lambda self: len(self.tasks) > 1)
    @rule(index=indices)
    def a_task_is_cancelled(self, index: int) -> None:
        self.tasks[index % len(self.tasks)].cancel()
        self.settle()
        self.app.polls = [one for one in self.app.polls if not one.arrived.done()]
        self.app.fetches = [one for one in self.app.fetches if not one.arrived.done()]

    # What becomes of calls.

    @precondition(lambda self: self.app.polls or self.app.fetches)
    @rule()
    def what_is_under_way_has_a_response_that_has_not_arrived(self) -> None:
        for poll in self.app.polls:
            self.serve(poll)
        for fetch in self.app.fetches:
            self.read(fetch)

    def serve(self, call: PollCall) -> None:
        call.response = call.response or self.state.response(call.known_orders, call.tags)

    def read(self, call: FetchCall) -> int:
        if call.content is None:
            order = self.state.orders.get(call.key)
            call.content = (order.parts if order else {}).get(call.part_name, 0)
        return call.content

    @precondition(lambda self: self.app.polls)
    @rule(index=indices, fails=st.sampled_from([False, False, False, True]))
    def a_poll_ends(self, index: int, fails: bool) -> None:
        call = self.app.polls.pop(index % len(self.app.polls))
        if fails:
            before = self.poller.cards
            call.arrived.set_exception(DOWN)
            self.settle()
            assert self.poller.cards == before
        else:
            self.serve(call)
            self.deliver(call)

    @precondition(lambda self: self.app.fetches)
    @rule(index=indices, error=st.sampled_from([None, None, None, PartInvalid("scripted"), OSError("scripted")]))
    def a_fetch_ends(self, index: int, error: Exception | None) -> None:
        call = self.app.fetches.pop(index % len(self.app.fetches))
        if error is None:
            self.bring(call)
        else:
            before = {(card.service, card.orderid): card.parts for card in self.poller.cards}
            self.invalid_expected += isinstance(error, PartInvalid)
            call.arrived.set_exception(error)
            self.settle()
            assert {(card.service, card.orderid): card.parts for card in self.poller.cards} == before

    def bring(self, call: FetchCall) -> None:
        what = (call.key, call.part_name)
        self.brought.add((*what, self.read(call)))
        for owed in (self.promised, self.forced):
            if call.number > owed.get(what, call.number):
                del owed[what]
        call.arrived.set_result(self.read(call))
        self.settle()

    def deliver(self, call: PollCall) -> None:
        assert call.response is not None
        before, cards = self.listed, self.poller.cards
        is_late = call.number < self.applied
        if not is_late:
            self.applied, self.last_applied = call.number, call.response
            self.expect_fetches(call, call.response)
        call.arrived.set_result(call.response)
        self.settle()
        if is_late:
            assert self.poller.cards == cards
            return
        sent = {(one.service, one.orderid) for one in call.known_orders}
        received = {(one.service, one.orderid): one.update_status for one in call.response.orders}
        dropped_meanwhile = {key for key in sent - before if received.get(key) is UpdateStatus.STALE}
        assert self.listed == (received.keys() - dropped_meanwhile) | (before - sent)

    @property
    def listed(self) -> set[Key]:
        return {(card.service, card.orderid) for card in self.poller.cards}

    def expect_fetches(self, call: PollCall, response: OrdersState) -> None:
        forced = {(one.service, one.orderid) for one in call.known_orders if one.force}
        for received in response.orders:
            key = (received.service, received.orderid)
            for name in PARTS:
                self.app.wanted.pop((key, name), None)
            for name, tag in received.tags.items():
                if name in received.need_request or (key, name) in self.forced:
                    self.app.wanted[key, name] = tag
                if name in received.need_request and key in forced:
                    self.forced[key, name] = len(self.app.began)

    def settle(self) -> None:
        """Lets every task go on until it waits for one of the calls."""

        async def turns() -> None:
            for _ in range(10):
                await asyncio.sleep(0)

        began = len(self.app.began)
        held = {(c.service, c.orderid, name): part.tag for c in self.poller.cards for name, part in c.parts.items()}
        under_way = [(one.key, one.part_name, one.wanted) for one in self.app.fetches]
        self.loop.run_until_complete(turns())
        for call in self.app.began[began:]:
            what = (call.key, call.part_name)
            if what in self.forced:
                later = [one for one in self.app.fetches if self.forced[what] < one.number < call.number]
                assert what not in [(one.key, one.part_name) for one in later], "it is being fetched again"
            else:
                assert call.wanted is not None, "nothing requested it"
                assert held.get((*call.key, call.part_name)) != call.wanted, "it is there"
                assert (*what, call.wanted) not in under_way, "it is being fetched"
            under_way.append((*what, call.wanted))
        for task in [one for one in self.tasks if one.done()]:
            self.tasks.remove(task)
            if not task.cancelled():
                assert isinstance(task.exception(), ServiceError | None)

    @invariant()
    def what_is_shown_was_fetched_and_is_not_older_than_its_tag(self) -> None:
        for card in self.poller.cards:
            for name, part in card.parts.items():
                assert ((card.service, card.orderid), name, part.content) in self.brought
                assert part.content >= int(part.tag or 0) or not part.content
            assert set(card.missing) == {"fast_info"} - set(card.parts)

    @invariant()
    def a_tag_is_sent_only_for_what_was_fetched_at_that_tag(self) -> None:
        for known in self.poller.known_orders:
            for name, tag in known.tags.items():
                fetched = [one for one in self.app.began if one.key == (known.service, known.orderid)]
                assert any(
                    one.part_name == name and one.arrived.done() and not one.arrived.cancelled() for one in fetched
                )
                assert tag.isdecimal()

    @invariant()
    def the_orders_are_those_of_the_last_response(self) -> None:
        if self.last_applied is not None:
            listed = {(one.service, one.orderid): one for one in self.last_applied.orders}
            for card in self.poller.cards:
                received = listed.get((card.service, card.orderid))
                if received is not None and received.update_status is UpdateStatus.ACTUAL:
                    assert (card.status, card.update_status) == (received.status, received.update_status)

    @invariant()
    def parts_that_are_not_valid_are_counted(self) -> None:
        assert self.invalid_counted == self.invalid_expected

    def check(self) -> None:
        """Checks all that is always true."""
        self.what_is_shown_was_fetched_and_is_not_older_than_its_tag()
        self.a_tag_is_sent_only_for_what_was_fetched_at_that_tag()
        self.the_orders_are_those_of_the_last_response()
        self.parts_that_are_not_valid_are_counted()

    def teardown(self) -> None:
        try:
            self.everything_comes_right()
        finally:
            for task in self.tasks:
                task.cancel()
            self.loop.run_until_complete(asyncio.wait(self.tasks)) if self.tasks else None
            self.loop.close()

    def everything_comes_right(self) -> None:
        """Once services respond and reports are through, two polls show what is true."""
        self.state.down = set()
        self.every_report_is_through()
        self.respond_all()
        for _ in range(3):
            self.tasks.append(self.loop.create_task(self.poller.poll_once()))
            self.settle()
            self.respond_all()
        before = len(self.app.began)
        self.tasks.append(self.loop.create_task(self.poller.poll_once()))
        self.settle()
        self.respond_all()

        truth = {key: order.parts for key, order in self.state.orders.items() if not order.is_finished}
        shown = {
            (card.service, card.orderid): {name: part.content for name, part in card.parts.items()}
            for card in self.poller.cards
        }
        assert {
            key: {n: v for n, v in held.items() if n in truth.get(key, held)} for key, held in shown.items()
        } == truth
        assert all(card.outdated == () for card in self.poller.cards)
        owed = {(key, name) for key, name in self.promised if name in truth.get(key, {})}
        assert not owed, "the rider pulled to refresh, and was shown what was there before"
        assert len(self.app.began) == before, "nothing has changed, so nothing is fetched"

    def respond_all(self) -> None:
        for _ in range(200):
            self.settle()
            if self.app.fetches:
                self.bring(self.app.fetches.pop(0))
            elif self.app.polls:
                self.a_poll_ends(0, fails=False)
            else:
                return
        raise AssertionError("the app never has enough")
