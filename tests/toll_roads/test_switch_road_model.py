"""Any switches in any order, repeated, at once, with any failure of order_core: the services do what the model does."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from ridehail_clients import JsonObject, OrderRoad, ServiceError
from tests.support.fault_proxy import Fault as Injected
from tests.support.fault_proxy import Forward, down, lost_response
from tests.support.loop_thread import LoopThread
from tests.support.state_machines import run_machine, running_in_a_thread
from tests.toll_roads.switch_harness import PRICE, READ, T0, WRITE, SwitchHarness, switch_harness
from tests.toll_roads.switch_model import Fault, Order, Switch, after

# Few timestamps, so that repeats and conflicts are common; some before the order itself, some a microsecond apart.
TIMESTAMPS = [
    *(T0 + timedelta(minutes=minutes) for minutes in (-1, 0, 1, 2, 3, 4)),
    T0 + timedelta(minutes=2, microseconds=1),
]
SWITCHES = st.builds(
    Switch,
    created=st.sampled_from(TIMESTAMPS),
    has_toll_road=st.sampled_from([False, False, True]),
    by_owner=st.sampled_from([True] * 9 + [False]),
    fault=st.sampled_from([Fault.NONE, *Fault]),
)
ids = itertools.count()


class Switches(RuleBasedStateMachine):
    """One order, in the services and in the model."""

    loop: ClassVar[LoopThread]
    harness: ClassVar[SwitchHarness]

    @initialize(
        chose_toll_road=st.sampled_from([True, True, True, False]),
        can_switch_road=st.sampled_from([True] * 9 + [False]),
    )
    def order_is_made(self, chose_toll_road: bool, can_switch_road: bool) -> None:
        self.order_id = f"order-{next(ids)}"
        self.model = Order(T0, chose_toll_road, can_switch_road, ((T0, chose_toll_road),), has_price=True)
        self.last: Switch | None = None
        self.loop.run(self._make())

    async def _make(self) -> None:
        await self.harness.put_order(self.order_id, *self.model.log, can_switch_road=self.model.can_switch_road)
        await self.harness.put_document(self.order_id)

    @rule(switch=SWITCHES)
    def switch(self, switch: Switch) -> None:
        self.last = switch
        result, self.model = after(self.model, switch)
        assert self.loop.run(self._switch(switch)) == result

    @rule(switch=SWITCHES, repeats=st.integers(1, 3))
    def switch_until_it_is_decided(self, switch: Switch, repeats: int) -> None:
        """As the app does, with the same `created`, until the result is not that order_core is down."""
        for _ in range(repeats):
            self.switch(switch)
        self.switch(replace(switch, fault=Fault.NONE))

    @precondition(lambda self: self.last is not None)
    @rule()
    def repeat(self) -> None:
        """The app got no response to its last switch, whatever has happened since."""
        assert self.last is not None
        self.switch(replace(self.last, fault=Fault.NONE))

    @rule(switches=st.lists(st.builds(replace, SWITCHES, fault=st.just(Fault.NONE)), min_size=2, max_size=2))
    def switch_at_once(self, switches: list[Switch]) -> None:
        """Two concurrent callers: the result is that of one after the other, in some order."""
        possible = [_one_after_the_other(self.model, switches, turns) for turns in ((0, 1), (1, 0))]
        results = self.loop.run(self._switch_at_once(switches))
        log = self.loop.run(self.harness.rows(self.order_id))
        document = self.loop.run(self.harness.document(self.order_id))
        seen = (results, log, _price_changes(document))
        outcomes = [(expected, list(order.log), list(order.price_changes)) for expected, order in possible]
        assert seen in outcomes
        self.model = possible[outcomes.index(seen)][1]

    @rule()
    def fix_the_price_again(self) -> None:
        self.loop.run(self._fix_the_price())
        self.model = replace(self.model, has_price=True)

    async def _fix_the_price(self) -> None:
        await self.harness.admin.set_order_fields(order_id=self.order_id, set={"order.fixed_price": PRICE})

    @invariant()
    def everything_is_as_in_the_model(self) -> None:
        if hasattr(self, "model"):
            self.loop.run(self._compare())

    async def _compare(self) -> None:
        assert await self.harness.rows(self.order_id) == list(self.model.log)
        last, road = self.model.log[-1]
        expected = OrderRoad(self.order_id, road, self.model.can_switch_road, last)
        assert await self.harness.road(self.order_id) == expected
        document = await self.harness.document(self.order_id)
        changes = _price_changes(document)
        assert changes == list(self.model.price_changes)
        assert all(earlier < later for (earlier, _), (later, _) in itertools.pairwise(changes))
        assert ("price" in document["order"]["fixed_price"]) is self.model.has_price  # type: ignore[index, call-overload, operator]
        assert await self.harness.processing_events(self.order_id) == self.model.resets

    async def _switch(self, switch: Switch) -> str:
        self.harness.faults.clear()
        self._inject(switch.fault)
        try:
            return await self._call(switch)
        finally:
            self.harness.faults.clear()

    async def _call(self, switch: Switch) -> str:
        passenger = self.harness.rider if switch.by_owner else self.harness.stranger
        try:
            await passenger.switch_road(self.order_id, switch.created, has_toll_road=switch.has_toll_road)
        except ServiceError as error:
            return error.reason
        return "OK"

    async def _switch_at_once(self, switches: Sequence[Switch]) -> list[str]:
        try:
            return [str(result) for result in await self.harness.run_concurrently(*map(self._call, switches))]
        finally:
            self.harness.faults.clear()

    def _inject(self, fault: Fault) -> None:
        faults = self.harness.faults

        async def overtaken(forward: Forward) -> bytes:
            await self.harness.admin.set_order_fields(order_id=self.order_id, set={"order.status": "driving"})
            return await forward()

        async def then_down(forward: Forward) -> bytes:
            faults.fail(down)
            return await lost_response(forward)

        once: dict[Fault, tuple[str, Injected]] = {
            Fault.READ_LOST: (READ, down),
            Fault.WRITE_LOST: (WRITE, down),
            Fault.WRITE_RESPONSE_LOST: (WRITE, lost_response),
            Fault.OVERTAKEN: (WRITE, overtaken),
            Fault.DOWN_AFTER_WRITE: (WRITE, then_down),
        }
        if fault in once:
            method, injected = once[fault]
            faults.fail(injected, method, times=1)
        elif fault is Fault.DOWN:
            faults.fail(down)


def _one_after_the_other(order: Order, switches: Sequence[Switch], turns: Sequence[int]) -> tuple[list[str], Order]:
    results: dict[int, str] = {}
    for turn in turns:
        results[turn], order = after(order, switches[turn])
    return [results[turn] for turn in sorted(results)], order


def _price_changes(document: JsonObject) -> list[tuple[datetime, bool]]:
    changes = document.get("changes", {})
    objects = changes.get("objects", []) if isinstance(changes, dict) else []
    assert isinstance(objects, list)
    return [(datetime.fromisoformat(one["created"]), one["value"]) for one in objects]  # type: ignore[index, call-overload, arg-type, misc]


@pytest.fixture
def machine(database_url: str, keys_dir: Path, config_dir: Path) -> Iterator[type[Switches]]:
    running = switch_harness(database_url=database_url, keys_dir=keys_dir, config_dir=config_dir)
    with running_in_a_thread(running) as (Switches.loop, Switches.harness):
        yield Switches


@pytest.mark.timeout(170)
def test_switches_do_what_the_model_does(machine: type[Switches]) -> None:
    run_machine(machine, examples=30)
