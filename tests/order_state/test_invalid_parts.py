"""What apps report of parts that they could not put together: counted, sampled without values, bounded."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import grpc
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY, generate_latest

from ridehail.orderstate.v1 import order_state_api_pb2 as api
from ridehail.orderstate.v1 import order_state_pb2
from ridehail_clients import ServiceError
from ridehail_servers.order_state.config import InvalidPartsConfig, OrderStateConfig
from ridehail_servers.order_state.invalid_part_store import InvalidPartStore
from ridehail_servers.order_state.invalid_parts import OTHER, ReportedPart, counts_of
from ridehail_servers.order_state.polling_policy import PartPolicy, PollingPolicy
from ridehail_servers.order_state.tasks import DeleteOldInvalidParts
from tests.order_state.harness import INVALID, POLICY, Harness, Rider
from tests.support.calls import call_patiently
from tests.support.command_line import ridehail
from tests.support.locks import waiting_for_locks
from tests.support.log_capture import captured_logs
from tests.support.waiting import until

INTERVAL_S, KEPT = 60, 3
SHAPE = {"$": "object", "$.field1": "string", "$.driver": "object", "$.driver.name": "null"}


@pytest.fixture(autouse=True)
def later(harness: Harness) -> None:
    """Lets the interval pass: the server remembers when a rider's app has reported."""
    harness.pass_time(INTERVAL_S)


def invalid(
    service: str = "taxi",
    part_name: str = "info",
    count: int = 1,
    *,
    problem: str = "wrong_type",
    shape: Mapping[str, str] | None = None,
) -> order_state_pb2.InvalidPart:
    entries = [order_state_pb2.ShapeEntry(path=path, type=kind) for path, kind in (shape or {}).items()]
    return order_state_pb2.InvalidPart(
        service=service, part_name=part_name, problem=problem, count=count, shape=entries
    )


async def report(rider: Rider, *parts: order_state_pb2.InvalidPart) -> tuple[bool, int]:
    response = await call_patiently(
        rider.harness.channel, INVALID, api.ReportInvalidPartsRequest(parts=parts), metadata=rider.own_metadata()
    )
    receipt = api.ReportInvalidPartsResponse.FromString(response)
    return receipt.recorded, receipt.next_report_ms


async def counts(harness: Harness) -> dict[tuple[object, ...], object]:
    rows = await harness.suite.rows("SELECT service, part_name, problem, count FROM order_state.invalid_parts")
    return {row[:3]: row[3] for row in rows}


async def shapes(harness: Harness) -> list[tuple[Any, ...]]:
    return await harness.suite.rows(
        "SELECT service, part_name, shape, count FROM order_state.invalid_part_samples ORDER BY last_at DESC"
    )


async def test_parts_are_counted_by_service_part_and_problem(harness: Harness) -> None:
    await report(harness.rider("1"), invalid(count=3), invalid(problem="missing"), invalid("eats", "full_info"))
    await report(harness.rider("2"), invalid(count=4), invalid(count=5))
    assert await counts(harness) == {
        ("taxi", "info", "wrong_type"): 12,
        ("taxi", "info", "missing"): 1,
        ("eats", "full_info", "wrong_type"): 1,
    }


async def test_what_the_policy_does_not_name_is_counted_as_other(harness: Harness, rider: Rider) -> None:
    before = generate_latest(REGISTRY).decode()
    await report(
        rider, invalid("laundry", "info"), invalid("+79161234567", "drum"), invalid(part_name="secret"), invalid("eats")
    )
    assert await counts(harness) == {
        (OTHER, OTHER, "wrong_type"): 2,
        ("taxi", OTHER, "wrong_type"): 1,
        ("eats", OTHER, "wrong_type"): 1,
    }
    added = set(generate_latest(REGISTRY).decode().splitlines()) - set(before.splitlines())
    labels = {
        line.split("{")[1].split("}")[0] for line in added if line.startswith("ridehail_order_state_invalid_parts_t")
    }
    assert labels == {
        f'part_name="other",problem="wrong_type",provider="{provider}"' for provider in ("other", "taxi", "eats")
    }


async def test_an_app_reports_no_more_often_than_the_interval(harness: Harness, rider: Rider) -> None:
    assert await report(rider, invalid()) == (True, INTERVAL_S * 1_000)
    harness.pass_time(45.5)
    assert await report(rider, invalid()) == (False, 14_500)
    assert await report(harness.rider("another"), invalid()) == (True, INTERVAL_S * 1_000)
    harness.pass_time(14.5)
    assert await report(rider, invalid()) == (True, INTERVAL_S * 1_000)
    assert await counts(harness) == {("taxi", "info", "wrong_type"): 3}


async def test_a_report_that_failed_may_be_made_again_at_once(harness: Harness, rider: Rider) -> None:
    await harness.suite.execute("ALTER TABLE order_state.invalid_parts RENAME TO elsewhere")
    try:
        with pytest.raises(ServiceError) as failure:
            await report(rider, invalid())
    finally:
        await harness.suite.execute("ALTER TABLE order_state.elsewhere RENAME TO invalid_parts")
    assert failure.value.code is grpc.StatusCode.INTERNAL
    assert await report(rider, invalid()) == (True, INTERVAL_S * 1_000)


async def test_a_hanging_database_fails_reports_in_time_and_they_leave_nothing_behind(
    harness: Harness, rider: Rider
) -> None:
    async with await psycopg.AsyncConnection.connect(harness.suite.database_url) as holder:
        await holder.execute("LOCK TABLE order_state.invalid_parts")
        reports = [asyncio.create_task(report(harness.rider(str(number)), invalid())) for number in range(30)]

        async def is_waiting() -> bool:
            return bool(await waiting_for_locks(harness.suite.database_url))

        await until(is_waiting)
        # Whatever is reported: one transaction at a time.
        assert len(await waiting_for_locks(harness.suite.database_url)) == 1
        for failed in await asyncio.gather(*reports, return_exceptions=True):
            assert isinstance(failed, ServiceError)
            assert failed.code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
    assert await report(rider, invalid()) == (True, INTERVAL_S * 1_000)


async def test_reports_that_come_together_lose_nothing(harness: Harness) -> None:
    parts = [invalid(count=2, shape=SHAPE), invalid("eats", "full_info", 3)]
    receipts = await asyncio.gather(*(report(harness.rider(f"rider-{number}"), *parts) for number in range(60)))
    assert {recorded for recorded, _ in receipts} == {True}
    assert await counts(harness) == {("taxi", "info", "wrong_type"): 120, ("eats", "full_info", "wrong_type"): 180}
    assert [row[3] for row in await shapes(harness)] == [120]


# --- samples


async def test_samples_show_names_of_the_configuration_and_no_others(harness: Harness, rider: Rider) -> None:
    planted = {"$.phone_9161234567": "string", "$.Ivan": "object", "$.Ivan.field1": "array", "$.field1.$item": "null"}
    await report(rider, invalid(shape=SHAPE | planted))
    (row,) = await shapes(harness)
    entries = {(path, kind) for path, kind in row[2]}
    hidden = {("$.$name", "string"), ("$.$name", "object"), ("$.$name.field1", "array")}
    assert entries == set(SHAPE.items()) | hidden | {("$.field1.$item", "null")}
    assert "Ivan" not in json.dumps(row[2])
    assert "916" not in json.dumps(row[2])


async def test_of_each_part_the_latest_shapes_are_kept(harness: Harness) -> None:
    for number in range(6):
        await report(harness.rider(str(number)), invalid(shape={"$": "object"} | {"$" + ".$item" * number: "null"}))
        await report(harness.rider(f"eats {number}"), invalid("eats", "full_info", shape={"$": "array"}))
        harness.pass_time(1)
    kept = await shapes(harness)
    assert Counter(row[:2] for row in kept) == {("taxi", "info"): KEPT, ("eats", "full_info"): 1}
    assert [len(row[2]) for row in kept if row[0] == "taxi"] == [2, 2, 2]
    assert [row[3] for row in kept if row[0] == "eats"] == [6]


async def test_a_report_of_more_shapes_than_are_kept_keeps_the_most_frequent(harness: Harness, rider: Rider) -> None:
    parts = [invalid(count=number, shape={"$" + ".$item" * number: "null"}) for number in range(1, 8)]
    await report(rider, *parts)
    assert [row[3] for row in await shapes(harness)] == [7, 6, 5]


POLICIES = PollingPolicy(PartPolicy.model_validate(one) for one in POLICY)
PATHS = st.lists(st.text("abc$9_-", min_size=1, max_size=5) | st.sampled_from(["field1", "name", "$item"]), max_size=12)


@given(
    st.lists(
        st.tuples(PATHS.map(lambda names: ".".join(["$", *names])), st.sampled_from(["null", "object"])), max_size=50
    ),
    st.text(max_size=9),
    st.text(max_size=9),
)
def test_whatever_is_reported_nothing_but_names_of_the_configuration_is_kept(
    shape: list[tuple[str, str]], service: str, part_name: str
) -> None:
    kept = counts_of([ReportedPart(service, part_name, "other", 2, shape)], POLICIES, frozenset({"name"}))
    again = counts_of([ReportedPart(service, part_name, "other", 2, shape[::-1] * 2)], POLICIES, frozenset({"name"}))
    assert kept.shapes == again.shapes
    assert list(kept.incidents.values()) == [2]
    known = {"$", "$item", "$name", "name"}
    for incident, entries in kept.shapes:
        assert (incident.service, incident.part_name) == (OTHER, OTHER)
        assert list(entries) == sorted(set(entries))
        for path, _ in entries:
            assert set(path.split(".")) <= known
            assert len(path.split(".")) <= 9


def test_fields_of_the_part_are_shown_and_those_of_others_are_not() -> None:
    parts = [{**POLICY[0], "fields": ["car.plate"]}, POLICY[1]]
    policy = PollingPolicy(map(PartPolicy.model_validate, parts))
    shape = [("$.car.plate.field1", "null")]
    kept = counts_of([ReportedPart("taxi", "route", "other", 1, shape)], policy, frozenset())
    assert [entries for _, entries in kept.shapes] == [(("$.car.plate.$name", "null"),)]


# --- for how long, for whom


async def test_counts_and_samples_go_after_their_days(harness: Harness) -> None:
    config = OrderStateConfig(invalid_parts=InvalidPartsConfig(kept_days=2))
    database = harness.suite.database("order-state")
    task = DeleteOldInvalidParts(database, InvalidPartStore(), lambda: config, lambda: harness.clock[0]).task
    await report(harness.rider("1"), invalid(shape=SHAPE))
    harness.pass_time(timedelta(days=2).total_seconds())
    await task.run(0)
    assert len(await shapes(harness)) == 1
    await report(harness.rider("2"), invalid(problem="missing"))
    harness.pass_time(1)
    await task.run(0)
    assert (await counts(harness), await shapes(harness)) == ({("taxi", "info", "missing"): 1}, [])


async def test_the_command_shows_counts_and_shapes(harness: Harness, rider: Rider) -> None:
    harness.clock[0] = harness.clock[0].now(harness.clock[0].tzinfo)
    await report(rider, invalid(count=7, shape=SHAPE), invalid("eats", "full_info", problem="unreadable"))
    command = ("order-state", "invalid-parts", "--database-url", harness.suite.database_url)
    text = (await asyncio.to_thread(ridehail, *command, "--since", "2h")).stdout
    assert "8 invalid parts" in text
    assert "        7  taxi info wrong_type\n        1  eats full_info unreadable\n" in text
    assert "    $.driver.name: null\n" in text
    printed = json.loads((await asyncio.to_thread(ridehail, *command, "--json")).stdout)
    assert printed["counts"][0] == {"service": "taxi", "part_name": "info", "problem": "wrong_type", "count": 7}
    assert {one["path"]: one["type"] for one in printed["samples"][0]["shape"]} == SHAPE


async def test_nothing_of_a_riders_is_kept_logged_or_measured(harness: Harness) -> None:
    rider = harness.rider("uidcanary812")
    planted = invalid("servicecanary", "partcanary", shape={"$.namecanary.phone79160000812": "string"})
    with captured_logs(level="DEBUG") as log:
        await report(rider, planted, invalid(shape={"$.namecanary.phone79160000812": "string"}))
        await report(rider, planted)
    dump = json.dumps(
        [
            await harness.suite.rows("SELECT invalid_parts::text FROM order_state.invalid_parts"),
            await harness.suite.rows("SELECT invalid_part_samples::text FROM order_state.invalid_part_samples"),
        ]
    )
    assert "$.$name.$name" in dump
    for canary in ("uidcanary812", "servicecanary", "partcanary", "namecanary", "79160000812"):
        assert canary not in dump
        assert canary not in log.text
        assert canary not in generate_latest(REGISTRY).decode()
