"""Any reports, lists, outages, polls and passing time, in any order: the service does what the model does."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import grpc
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.order_state.harness import CONFIG, RETRY_S, SERVERS, TTL_S, Harness, Rider, allowed, harness, known, shown
from tests.order_state.orders_model import AppOrder, Key, Model
from tests.order_state.provider_server import order
from tests.support.loop_thread import LoopThread
from tests.support.state_machines import run_machine, running_in_a_thread

uids = itertools.count()
POLICY = {"taxi": ["info", "route"], "eats": ["full_info"], "grocery": []}
SERVICE = st.sampled_from(["taxi", "taxi", "eats", "grocery"])
ORDERID = st.sampled_from(["x", "y"])
PART = st.sampled_from(["info", "route", "full_info", "other"])
APP = st.integers(0, 1)
# Queries are due again, and tokens expire, at times that are visited, and the second before.
PASSES = st.sampled_from([1, RETRY_S - 1, RETRY_S, TTL_S, TTL_S + 1])


@dataclass
class Change:
    """What an order was after a change, and what its report says."""

    sequence: int
    status: str
    parts: dict[str, str]
    changed: dict[str, str]
    finished: bool


@dataclass
class App:
    """What an app has kept of its responses; of each poll token also what the model takes it for."""

    orders: dict[Key, AppOrder] = field(default_factory=dict)
    tags: dict[str, tuple[str, object]] = field(default_factory=dict)


class Orders(RuleBasedStateMachine):
    """One rider with two apps, in the service and in the model."""

    loop: ClassVar[LoopThread]
    at: ClassVar[Harness]

    @initialize()
    def rider_comes(self) -> None:
        self.number = next(uids)
        self.rider: Rider = self.at.rider(f"rider-{self.number}")
        limits = dict(CONFIG["max_active_orders"])
        self.model = Model(list(SERVERS), limits, POLICY, RETRY_S, TTL_S, {service: {} for service in SERVERS})
        self.history: dict[Key, list[Change]] = {}
        self.lag: dict[str, int] = dict.fromkeys(SERVERS, 0)
        self.is_up = dict.fromkeys(SERVERS, True)
        self.numbers = dict.fromkeys(SERVERS, True)
        self.apps = [App(), App()]
        self.loop.run(self.at.reset())

    @rule(service=SERVICE, orderid=ORDERID, parts=st.sets(PART, max_size=2), end=st.sampled_from([0, 0, 1]))
    def order_changes(self, service: str, orderid: str, parts: set[str], end: int) -> None:
        changes = self.history.setdefault((service, orderid), [])
        sequence = len(changes) + 1
        changed = {part: f"{part}-{sequence}" for part in sorted(parts)}
        before = changes[-1].parts if changes else {}
        changes.append(Change(sequence, f"status-{sequence}", {**before, **changed}, changed, bool(end)))
        self._publish()

    @rule(service=SERVICE, orderid=ORDERID, which=st.integers(0, 5), says_end=st.booleans())
    def report_arrives(self, service: str, orderid: str, which: int, says_end: bool) -> None:
        changes = self.history.get((service, orderid))
        if changes:
            change = changes[-1 - which % len(changes)]
            finished = change.finished if says_end else None
            expected = self.model.report((service, orderid), change.sequence, change.changed, finished)
            parts: dict[str, Any] = change.changed
            report = self.rider.report(
                self._real(orderid), change.sequence, service=service, finished=finished, **parts
            )
            assert self.loop.run(report) == expected

    @rule(service=SERVICE)
    def service_goes_down_or_comes_back(self, service: str) -> None:
        self.is_up[service] = not self.is_up[service]
        self._publish()

    @rule(service=SERVICE, lag=st.integers(0, 2))
    def service_lags(self, service: str, lag: int) -> None:
        self.lag[service] = lag
        self._publish()

    @rule(service=SERVICE)
    def service_stops_numbering_or_begins(self, service: str) -> None:
        self.numbers[service] = not self.numbers[service]
        self._publish()

    @rule(seconds=PASSES)
    def time_passes(self, seconds: int) -> None:
        self.model.now += seconds
        self.at.pass_time(seconds)

    @rule(number=APP)
    def app_polls_as_it_should(self, number: int) -> None:
        self._poll(self.apps[number], self.apps[number].tags)

    @rule(number=APP)
    def app_polls_without_tags(self, number: int) -> None:
        self._poll(self.apps[number], {})

    @rule(number=APP, services=st.sets(SERVICE, min_size=1), garbage=st.sampled_from(["", "asked.x.y", "\u044b" * 9]))
    def app_polls_with_garbage(self, number: int, services: set[str], garbage: str) -> None:
        self._poll(self.apps[number], dict.fromkeys(sorted(services), (garbage, "now")))

    @rule(number=APP, service=SERVICE, other=SERVICE)
    def app_mixes_up_its_tags(self, number: int, service: str, other: str) -> None:
        app = self.apps[number]
        if other in app.tags and other != service:
            self._poll(app, {service: (app.tags[other][0], "now")})

    @rule(number=APP)
    def app_gives_its_tags_to_the_other(self, number: int) -> None:
        self._poll(self.apps[1 - number], self.apps[number].tags)

    @rule(number=APP, service=SERVICE, orderid=ORDERID)
    def app_forces_an_order(self, number: int, service: str, orderid: str) -> None:
        app = self.apps[number]
        if (service, orderid) in app.orders:
            app.orders[service, orderid]["force"] = True
            self._poll(app, app.tags)

    @rule(number=APP, service=st.sampled_from([*SERVERS, "laundry"]), orderid=ORDERID, part=PART)
    def app_claims_to_know_an_order(self, number: int, service: str, orderid: str, part: str) -> None:
        order = {"status": "claimed", "tags": {part: "claimed"}, "force": False}
        self.apps[number].orders[service, orderid] = order

    @rule(number=APP)
    def app_begins_anew(self, number: int) -> None:
        self.apps[number] = App()

    def _poll(self, app: App, tags: dict[str, tuple[str, object]]) -> None:
        expected = self.model.poll(app.orders, {service: meaning for service, (_tag, meaning) in tags.items()})
        before = self.at.queried()
        response = self.loop.run(self.rider.poll(*self._known(app), tags={one: tag for one, (tag, _) in tags.items()}))
        orders = [(service, orderid[:1], *rest) for service, orderid, *rest in shown(response)]  # type: ignore[index]
        assert orders == expected.orders
        assert allowed(response) == expected.allowed
        assert response.tags.keys() == expected.tags.keys()
        queried = self.at.queried()
        assert {one for one in SERVERS if queried[one] > before[one]} == set(expected.queried)
        assert sum(queried.values()) == sum(before.values()) + len(expected.queried)
        kept: dict[str, tuple[str, object]] = {}
        for service, meaning in expected.tags.items():
            if meaning == "same":
                assert response.tags[service] == tags[service][0]
                kept[service] = tags[service]
            else:
                kept[service] = (response.tags[service], meaning)
        app.tags = kept
        # The app fetches all that it should.
        app.orders = {
            (str(one[0]), str(one[1])): {"status": one[2], "tags": one[3], "force": False} for one in expected.orders
        }

    def _known(self, app: App) -> list[Any]:
        return [
            known(self._real(orderid), service, **one)  # type: ignore[arg-type]
            for (service, orderid), one in app.orders.items()
        ]

    def _real(self, orderid: str) -> str:
        return f"{orderid} of rider {self.number}"

    def _publish(self) -> None:
        """Has each service list what it knows of: all but its latest changes, if it lags."""
        for service, provider in self.at.providers.items():
            listed = {}
            for (own, orderid), changes in self.history.items():
                seen = changes[: max(0, len(changes) - self.lag[service])]
                if own == service and seen and not seen[-1].finished:
                    sequence = seen[-1].sequence if self.numbers[service] else 0
                    listed[orderid] = (seen[-1].status, sequence, seen[-1].parts)
            provider.orders[self.rider.uid] = [
                order(self._real(orderid), status, sequence=sequence, **dict[str, Any](parts))
                for orderid, (status, sequence, parts) in listed.items()
            ]
            provider.failure = None if self.is_up[service] else grpc.StatusCode.UNAVAILABLE
            self.model.lists[service] = listed if self.is_up[service] else None


@pytest.fixture
def machine(database_url: str, keys_dir: Path, config_dir: Path) -> Iterator[type[Orders]]:
    running = harness(database_url=database_url, keys_dir=keys_dir, config_dir=config_dir)
    with running_in_a_thread(running) as (Orders.loop, Orders.at):
        yield Orders


@pytest.mark.timeout(170)
def test_the_service_does_what_the_model_does(machine: type[Orders]) -> None:
    run_machine(machine, examples=40, steps=25)
