"""Toggles, reports of orders and changes of families, in any order and at once: the services do what the model does.

Families are published late, out of order and more than once, and in the end as they are.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ridehail_clients import FamilyAdmin, FamilyMember, FamilyState, ServiceError, SharedRide
from ridehail_servers.chassis.errors import DependencyUnavailable
from tests.route_sharing.harness import Harness, harness
from tests.route_sharing.sharing_model import Call, Model
from tests.support.loop_thread import LoopThread
from tests.support.state_machines import run_machine, running_in_a_thread

FAMILIES = ("smiths", "other")
# The first two are the admins of the families. All are beyond 32 bits.
RIDERS = range(5)
KEYS = range(3)
# So few that orders, families and members of one family have some in common.
PHONES = [f"phone-{number}" for number in range(5)]
PHONE = st.sampled_from(PHONES)
NUMBER = st.integers(0, len(RIDERS) - 1)
KEY = st.integers(0, len(KEYS) - 1)
# Mostly the ride's own order, sometimes another's.
ORDER = st.sampled_from([0, 0, 0, 0, 1])
CALL = st.one_of(
    st.tuples(st.just("on"), KEY, ORDER, NUMBER),
    st.tuples(st.just("off"), KEY, ORDER, NUMBER),
    st.tuples(st.just("insert"), KEY, ORDER, st.none() | NUMBER, st.lists(PHONE, max_size=3).map(tuple)),
    st.tuples(st.just("join"), st.sampled_from(FAMILIES), NUMBER, PHONE),
    st.tuples(st.just("leave"), st.sampled_from(FAMILIES), NUMBER),
    st.tuples(st.just("quit"), st.sampled_from(FAMILIES), NUMBER),
    # Mostly by an owner.
    st.tuples(
        st.just("rename"), st.sampled_from(FAMILIES), st.sampled_from([0, 0, 1, 1, 2]), st.sampled_from(["Ann", "Bob"])
    ),
)
LATE = {"DEADLINE_EXCEEDED", "DATABASE_UNAVAILABLE", "NEIGHBOUR_UNAVAILABLE", "OVERLOADED"}
examples = itertools.count(1)


class Sharing(RuleBasedStateMachine):
    """Two families and three rides, in the services and in the model."""

    loop: ClassVar[LoopThread]
    at: ClassVar[Harness]

    @initialize(phones=st.tuples(PHONE, PHONE), member=PHONE)
    def families_are_made(self, phones: tuple[str, str], member: str) -> None:
        self.example = next(examples)
        admins = {name: self._uid(number) for number, name in enumerate(FAMILIES)}
        self.model = Model(admins, {name: {} for name in FAMILIES})
        self.ids: dict[str, str] = {}
        for name, phone in zip(FAMILIES, phones, strict=True):
            self.model.members[name][admins[name]] = (phone, 0)
            admin = FamilyAdmin(admins[name], f"admin of {name}")
            self.ids[name] = self.loop.run(self.at.make_family(admin, phone))
        self.published: list[FamilyState] = []
        self.one_call(("join", FAMILIES[0], 2, member))

    @rule(call=CALL)
    def one_call(self, call: Call) -> None:
        spelt = self._spelt(call)
        assert self.loop.run(self._real(spelt)) == self.model.call(spelt)
        self.loop.run(self._settle())

    @rule(number=st.integers(0, 9))
    def one_publication_comes_again(self, number: int) -> None:
        """However old it is: a version that is not higher changes nothing."""
        if self.published:
            self.loop.run(self.at.follow(self.published[number % len(self.published)]))

    @rule(first=CALL, second=CALL)
    def two_calls_at_once(self, first: Call, second: Call) -> None:
        """They come out as if one had come after the other."""
        self.at_once(self._spelt(first), self._spelt(second))

    @rule(key=KEY, rider=st.integers(0, 2), others=st.lists(CALL, max_size=1))
    def toggle_is_set_on_and_off_at_once(self, key: int, rider: int, others: list[Call]) -> None:
        calls = [("on", key, 0, rider), ("off", key, 0, rider), *others]
        self.at_once(*(self._spelt(call) for call in calls))

    @invariant()
    def everything_is_as_in_the_model(self) -> None:
        if hasattr(self, "model"):
            assert self.loop.run(self._seen()) == self._expected(self.model)

    def teardown(self) -> None:
        if hasattr(self, "model"):
            self.loop.run(self._compare_watchers())

    def at_once(self, *calls: Call) -> None:
        returned = self.loop.run(self._real_at_once(calls))
        self.loop.run(self._settle())
        seen = self.loop.run(self._seen())
        possible = []
        for order in itertools.permutations(range(len(calls))):
            model = copy.deepcopy(self.model)
            results = {number: model.call(calls[number]) for number in order}
            possible.append((model, [results[number] for number in range(len(calls))]))
        fitting = [model for model, results in possible if (results, self._expected(model)) == (returned, seen)]
        assert fitting, (calls, returned, seen, [(results, self._expected(model)) for model, results in possible])
        self.model = fitting[0]

    def _uid(self, number: int) -> str:
        return str(100_000_000_000_000_000 + self.example * 1_000 + number)

    def _key(self, number: int) -> str:
        return f"key-{self.example}-{number}"

    def _order(self, key: int, other: int) -> str:
        return f"order-{self.example}-{(key + other) % len(KEYS)}"

    def _spelt(self, call: Call) -> Call:
        """Gives a call's numbers the names of this example."""
        name, subject, *rest = call
        if name in {"join", "leave", "quit", "rename"}:
            return (name, subject, self._uid(rest[0]), *rest[1:])
        other, rider, *phones = rest
        uid = None if rider is None else self._uid(rider)
        return (name, self._key(subject), self._order(subject, other), uid, *phones)

    async def _real(self, call: Call) -> str:
        """Makes a call, again where a busy machine did not respond in time; a report alone counts each time."""
        for _ in range(0 if call[0] == "insert" else 3):
            if (result := await self._once(call)) not in LATE:
                return result
        return await self._once(call)

    async def _once(self, call: Call) -> str:
        name, *arguments = call
        try:
            match name:
                case "join":
                    family, rider, phone = arguments
                    role = "owner" if self.model.admins[family] == rider else "user"
                    member = FamilyMember(rider, phone, role)
                    await self.at.family.add_member(family_id=self.ids[family], member=member)
                case "leave":
                    family, rider = arguments
                    await self.at.family.remove_member(family_id=self.ids[family], yandex_uid=rider)
                case "quit":
                    family, rider = arguments
                    await self.at.as_passenger("LeaveFamily", rider, family_id=self.ids[family])
                case "rename":
                    _family, rider, new = arguments
                    await self.at.as_passenger("RenameOwner", rider, name=new)
                case "insert":
                    key, order, rider, phones = arguments
                    await self.at.insert(*phones, key=key, order=order, rider=rider)
                case _:
                    key, order, rider = arguments
                    return await self.at.share(name == "on", key=key, order=order, rider=rider)
        except ServiceError as error:
            return error.reason
        return "OK"

    async def _real_at_once(self, calls: tuple[Call, ...]) -> list[str]:
        return list(await asyncio.gather(*(self._real(call) for call in calls)))

    async def _settle(self) -> None:
        for _ in range(3):
            with suppress(DependencyUnavailable):  # as long as a busy machine does not respond in time
                await self.at.settle()
        for admin in self.model.admins.values():
            state = await self.at.family.get_family_state(yandex_uid=admin)
            if state not in self.published:
                self.published.append(state)

    async def _seen(self) -> object:
        infos = {}
        for key in map(self._key, KEYS):
            info = await self.at.info(key)
            family = info.family
            shown = None if family is None else (family.admin_name, family.admin_uid, family.sharing_on)
            infos[key] = (list(info.phone_ids), shown)
        requests = await self.at.rows(
            "SELECT refused_because, yandex_uid, phone_ids FROM order_route_sharing.insert_order_requests"
            " WHERE sharing_key LIKE %s",
            self._key(0)[:-1] + "%",
        )
        riders = await self.at.rows(
            "SELECT sharing_key, yandex_uid FROM order_route_sharing.sharing_keys WHERE sharing_key LIKE %s",
            self._key(0)[:-1] + "%",
        )
        return infos, requests, dict(riders)  # type: ignore[arg-type]  # rows of two columns

    def _expected(self, model: Model) -> object:
        infos = {key: model.info(key) for key in map(self._key, KEYS)}
        riders = {key: ride.rider for key, ride in model.rides.items()}
        return infos, [("SHARING_KEY_CONFLICT", None, [])] * model.refused, riders

    async def _compare_watchers(self) -> None:
        passengers = [("stranger", phone) for phone in [*PHONES, ""]] + [(self._uid(one), "no-phone") for one in RIDERS]
        for key in map(self._key, KEYS):
            for uid, phone in passengers:
                shown = await self.at.watch(key, uid=uid, phone_id=phone)
                order = shown.order_id if isinstance(shown, SharedRide) else shown
                assert order == self.model.watched(key, uid, phone), (key, uid, phone)


@pytest.fixture
def machine(database_url: str, keys_dir: Path, config_dir: Path) -> Iterator[type[Sharing]]:
    running = harness(database_url=database_url, keys_dir=keys_dir, config_dir=config_dir)
    with running_in_a_thread(running) as (Sharing.loop, Sharing.at):
        yield Sharing


@pytest.mark.timeout(170)
def test_the_services_do_what_the_model_does(machine: type[Sharing]) -> None:
    run_machine(machine, examples=12)
