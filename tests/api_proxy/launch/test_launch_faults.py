"""Whatever fails, launch responds in time with what is available, and the next poll heals the rest."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ridehail_clients import DeadlineExceeded
from ridehail_servers.api_proxy.launch.local_state import ASK_NOW
from tests.api_proxy.launch.launch_harness import (
    DEPENDENCIES,
    DETAILS,
    GONE,
    KEEPERS,
    STAGES,
    TRUTH,
    LaunchHarness,
    known_orders,
    launch_harness,
)
from tests.support.fault_proxy import Fault, down, erroring, hanging

FAULTS: Mapping[str, Fault] = {"down": down, "erroring": erroring, "slow": hanging}
RIDERS = {"chosen": True, "other": False}
LIMITS = {"taxi": 3, "eats": 1, "grocery": 1}
AT_ONCE = 6


@dataclass(frozen=True)
class Cell:
    """A launch: what is called, and what fails."""

    stage: str
    uid: str
    faults: Mapping[str, str]

    @property
    def keeping_statuses(self) -> set[str]:
        """The services whose known orders launch gives back with the status that the app sent."""
        return set(KEEPERS) if self.stage == "stage1" else set()

    @property
    def name(self) -> str:
        """Names the cell, as a request id."""
        return ".".join([self.stage, self.uid, *(f"{one}-{fault}" for one, fault in self.faults.items())])


def cells() -> Iterator[Cell]:
    """Yields each fault alone and each pair of dependencies that fail, with every pair of faults.

    Launch knows stages and, where order_state fails, riders: those are combined with each fault. Whatever makes no
    difference to each other takes turns.
    """
    kinds = list(itertools.product(STAGES, RIDERS))
    for stage, uid in kinds:
        yield Cell(stage, uid, {})
        for fault in FAULTS:
            yield Cell(stage, uid, {"order-state": fault})
    turns = itertools.cycle(RIDERS)
    others = [one for one in DEPENDENCIES if one != "order-state"]
    for stage, dependency, fault in itertools.product(STAGES, others, FAULTS):
        yield Cell(stage, next(turns), {dependency: fault})
    kind = itertools.cycle(kinds)
    for turn, names in enumerate(itertools.combinations(DEPENDENCIES, 2)):
        faults = list(FAULTS)
        for first, second in zip(faults, faults[turn % 3 :] + faults[: turn % 3], strict=True):
            yield Cell(*next(kind), dict(zip(names, (first, second), strict=True)))


# --- what is expected


def own(uid: str) -> list[dict[str, Any]]:
    """Returns the rider's orders as the app knows them."""
    return [order | {"orderid": f"{uid}-{order['orderid']}"} for order in known_orders()]


def versions(uid: str, order: Mapping[str, Any]) -> dict[str, str]:
    """Returns the versions of an order's parts."""
    orderid = order["orderid"].removeprefix(f"{uid}-")
    return TRUTH.get(order["service"], {}).get(orderid, ("", {}))[1]


def stale(uid: str, order: dict[str, Any], *, reported: bool) -> dict[str, Any]:
    """Returns a known order of a service that cannot be called; `reported`: whether reports are at hand."""
    current = versions(uid, order) if reported else {}
    tags = {**order["tags"], **current}
    need_request = [part for part, version in current.items() if order["tags"].get(part) != version]
    kept = {name: value for name, value in order.items() if name != "force"}
    return kept | {"tags": tags, "need_request": need_request, "update_status": "stale"}


def actual(uid: str, service: str, orderid: str, order: Mapping[str, Any], *, as_sent: bool) -> dict[str, Any]:
    """Returns an order that its service lists; `order`: what the app knows of it; `as_sent`: with the app's status."""
    status, parts = TRUTH[service][orderid]
    status = order.get("status", status) if as_sent else status
    tags = order.get("tags", {})
    return {
        **{name: value for name, value in order.items() if name == "card"},
        "orderid": f"{uid}-{orderid}",
        "service": service,
        "status": status,
        "tags": {**tags, **parts},
        "need_request": [part for part, version in parts.items() if tags.get(part) != version],
        "update_status": "actual",
        "details": DETAILS,
    }


def stored(uid: str, service: str, orderid: str) -> dict[str, Any]:
    """Returns a reported order that the app does not know, of a service that cannot be called."""
    order = {"orderid": f"{uid}-{orderid}", "service": service, "status": "", "tags": {}}
    return stale(uid, order, reported=True)


def expected_orders(
    uid: str, failed: set[str], *, as_sent: Collection[str], reported: bool = True
) -> list[dict[str, Any]]:
    """Returns the orders while some services cannot be called; of services in `as_sent` with the app's statuses."""
    orders = []
    for order in own(uid):
        service, orderid = order["service"], order["orderid"].removeprefix(f"{uid}-")
        if service in failed or service not in KEEPERS:
            orders.append(stale(uid, order, reported=reported))
        elif orderid != GONE:
            orders.append(actual(uid, service, orderid, order, as_sent=service in as_sent))
    known = {(order["service"], order["orderid"]) for order in own(uid)}
    for service in KEEPERS:
        new = [one for one in TRUTH[service] if (service, f"{uid}-{one}") not in known]
        if service not in failed:
            orders.extend(actual(uid, service, one, {}, as_sent=False) for one in new)
        elif reported:
            orders.extend(stored(uid, service, one) for one in sorted(new))
    return orders


def expected_changes(orders: list[dict[str, Any]], *, reported: bool) -> list[dict[str, Any]]:
    """Returns whether more orders may be made; the end of one was reported, which a local answer does not know."""
    changes: list[dict[str, Any]] = []
    for service, limit in LIMITS.items():
        own_orders = [order["orderid"] for order in orders if order["service"] == service]
        may = sum(not (reported and one.endswith(f"-{GONE}")) for one in own_orders) < limit
        reason = {} if may else {"no_more_orders_reason": "too_many_orders"}
        changes.append({"service": service, "can_make_more_orders": may} | reason)
    return changes


def expected(cell: Cell, policy: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the response of a launch; of the tags of order_state only whose they are."""
    response: dict[str, Any] = {} if "eulas" in cell.faults else {"eulas": {"accepted": ["sdc"]}}
    is_local = "order-state" in cell.faults
    if is_local and not RIDERS[cell.uid]:
        return response
    failed = {service for service, keeper in KEEPERS.items() if keeper in cell.faults or is_local}
    orders = expected_orders(cell.uid, failed, as_sent=cell.keeping_statuses, reported=not is_local)
    response["mlutp_orders_state"] = {
        "tags": dict.fromkeys(failed, ASK_NOW if is_local else "opaque"),
        "orders": orders,
        "allowed_changes": expected_changes(orders, reported=not is_local),
        "polling_policy": sorted(policy, key=lambda part: part["priority"]),
        "polling_schedule": {"interval_ms": 10_000, "longest_pause_ms": 300_000}
        | ({} if is_local else {"next_poll_ms": 1}),
    }
    return response


def without_opaque_tags(response: dict[str, Any]) -> dict[str, Any]:
    if (state := response.get("mlutp_orders_state")) is None:
        return response
    tags = {service: tag if tag == ASK_NOW else "opaque" for service, tag in state["tags"].items()}
    assert all(state["tags"].values())
    # When the next poll is depends on the time.
    schedule = state["polling_schedule"]
    schedule |= {"next_poll_ms": 1} if 5_000 <= schedule.get("next_poll_ms", 0) < 15_000 else {}
    return response | {"mlutp_orders_state": state | {"tags": tags, "polling_schedule": schedule}}


def flat(response: dict[str, Any]) -> dict[str, Any]:
    """Returns a response with all that is inside of `mlutp_orders_state` at the top, to show what differs."""
    others = dict(response)
    state = others.pop("mlutp_orders_state", {})
    orders = {f"order {number}": order for number, order in enumerate(state.get("orders", ()))}
    return others | {name: value for name, value in state.items() if name != "orders"} | orders


# --- the harness


@pytest.fixture
async def harness(database_url: str, keys_dir: Path, config_dir: Path) -> AsyncIterator[LaunchHarness]:
    config_dirs = {stage: Path(shutil.copytree(config_dir, config_dir / stage)) for stage in STAGES}
    running = launch_harness(
        database_url=database_url, keys_dir=keys_dir, config_dirs=config_dirs, in_fallback="chosen"
    )
    async with running as harness:
        for uid in RIDERS:
            await harness.settle(uid)
            for stage in STAGES:
                await harness.launch(stage, uid, request_id="first")  # the first call of a server is slow
        yield harness


async def launched(harness: LaunchHarness, cell: Cell) -> dict[str, Any]:
    """Launches with the cell's faults; returns the response, which comes within the time of the contract."""
    harness.fail({one: FAULTS[fault] for one, fault in cell.faults.items()}, request_id=cell.name)
    return await harness.launch(cell.stage, cell.uid, request_id=cell.name, known=own(cell.uid))


async def launched_as_expected(harness: LaunchHarness, cell: Cell, policy: list[dict[str, Any]]) -> dict[str, Any]:
    """Launches with the cell's faults, and compares the response with the one that is expected."""
    response = await launched(harness, cell)
    assert flat(without_opaque_tags(response)) == flat(expected(cell, policy)), cell.name
    return response


async def heals(harness: LaunchHarness, cell: Cell, response: dict[str, Any], policy: list[dict[str, Any]]) -> None:
    """Polls with the tags of a launch; after a launch without orders the next one has them."""
    if "mlutp_orders_state" not in response:
        await launched_as_expected(harness, Cell(cell.stage, cell.uid, {}), policy)
        return
    state = response["mlutp_orders_state"]
    members = ("orderid", "service", "status", "tags", "details")
    # The app has not fetched anything yet, so of the parts it has what it had.
    had = {(order["service"], order["orderid"]): order["tags"] for order in own(cell.uid)}
    known = [
        {name: order[name] for name in members if name in order}
        | {"tags": had.get((order["service"], order["orderid"]), {})}
        for order in state["orders"]
    ]
    poll = await harness.poll(cell.uid, known, state["tags"])
    assert poll["tags"] == {}, cell.name
    told = {(order["service"], order["orderid"]): order for order in poll["orders"]}
    assert len(told) == len(poll["orders"]), cell.name
    # Services that the poll called return the status of their orders.
    for order in expected_orders(cell.uid, set(), as_sent=cell.keeping_statuses - state["tags"].keys()):
        healed = told.pop((order["service"], order["orderid"]))
        compared = ("tags", "need_request", "update_status", "status")
        assert [healed[name] for name in compared] == [order[name] for name in compared], cell.name
    assert told == {}, cell.name


async def test_launch_answers_in_time_tells_what_it_can_and_the_next_poll_heals_the_rest(
    harness: LaunchHarness, config_dir: Path
) -> None:
    policy = yaml.safe_load((config_dir / "order_state.yaml").read_text())["polling_policy"]
    every = list(cells())
    at_once = asyncio.Semaphore(AT_ONCE)

    async def launch(cell: Cell) -> dict[str, Any] | None:
        async with at_once:
            try:
                response = await launched(harness, cell)
            except DeadlineExceeded:
                return None
        return response if flat(without_opaque_tags(response)) == flat(expected(cell, policy)) else None

    async def is_healed(cell: Cell, response: dict[str, Any]) -> bool:
        async with at_once:
            try:
                await heals(harness, cell, response, policy)
            except (AssertionError, DeadlineExceeded):
                return False
            return True

    responses = await asyncio.gather(*map(launch, every))
    # Beside others even a service that is up may be late on a busy machine; a launch or poll by itself has no excuse.
    complete = [
        await launched_as_expected(harness, cell, policy) if response is None else response
        for cell, response in zip(every, responses, strict=True)
    ]
    harness.heal()
    for cell, response, healed in zip(
        every, complete, await asyncio.gather(*map(is_healed, every, complete)), strict=True
    ):
        if not healed:
            await heals(harness, cell, response, policy)
