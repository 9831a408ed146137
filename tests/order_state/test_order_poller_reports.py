"""What a poller reports of parts that it could not put together, and that no poll feels it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ridehail_clients import (
    InvalidPart,
    InvalidPartsReceipt,
    JsonType,
    OrderPoller,
    PartInvalid,
    PartProblem,
    ServiceError,
    ShapeEntry,
    TransportUnavailable,
)
from ridehail_clients.orders.part_shape import shape_of
from tests.order_state.polling_app import PollingApp, Start, launched, order_state, policy, response
from tests.support.waiting import until

FAST, PART2 = policy("taxi", "fast_info", 1), policy("taxi", "part2", 2)
DOWN = TransportUnavailable(grpc.StatusCode.UNAVAILABLE, message="scripted")
BAD = PartInvalid("no car", problem=PartProblem.MISSING, content={"car": None})
SHAPE = (ShapeEntry("$", JsonType.OBJECT), ShapeEntry("$.car", JsonType.NULL))
NEXT_S = 300.0


class Reports:
    """What is reported, and what becomes of it, in turn; then reports are recorded."""

    def __init__(self, *outcomes: Exception | InvalidPartsReceipt) -> None:
        self.batches: list[tuple[InvalidPart, ...]] = []
        self.ended = 0
        self._outcomes = list(outcomes)

    def __call__(self, *, parts: tuple[InvalidPart, ...]) -> InvalidPartsReceipt:
        self.batches.append(parts)
        outcome = self._outcomes.pop(0) if self._outcomes else InvalidPartsReceipt(True, int(NEXT_S * 1_000))
        self.ended += 1
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def asynchronous(self, *, parts: tuple[InvalidPart, ...]) -> InvalidPartsReceipt:
        await asyncio.sleep(0)
        return self(parts=parts)


async def polling(app_of: Start, reports: Reports, **options: Any) -> PollingApp:
    """An app that has started, and whose every poll has two parts to fetch."""
    app = app_of(**options)
    app = app_of(**options, report=reports.asynchronous if app.flavour.name == "asyncio" else reports)
    changes = [
        order_state("taxi", "order1", "fast_info", "part2", tags={"fast_info": str(n), "part2": str(n)})
        for n in range(99)
    ]
    app.responses = [response(one) for one in changes]
    await app("start", launched(policy=[FAST, PART2]))
    return app


async def poll(app: PollingApp, reports: Reports, *, count: int) -> None:
    """Polls once, and waits until so many reports have ended in all."""
    await app("poll_once")

    async def have_ended() -> bool:
        return reports.ended == count and not app.poller._reports._queue._is_under_way

    await until(have_ended)


async def test_invalid_parts_are_reported_by_part_and_problem_with_their_shape(app_of: Start) -> None:
    reports = Reports()
    app = await polling(app_of, reports, random=lambda: 0.0)
    app.fetch_errors = {"fast_info": [BAD], "part2": [PartInvalid("odd")]}
    await poll(app, reports, count=1)
    assert reports.batches == [
        (
            InvalidPart("taxi", "fast_info", PartProblem.MISSING, 1, SHAPE),
            InvalidPart("taxi", "part2", PartProblem.OTHER, 1, ()),
        )
    ]
    assert app.invalid == [("taxi", "fast_info", "no car"), ("taxi", "part2", "odd")]


async def test_parts_that_cannot_be_fetched_are_not_reported(app_of: Start) -> None:
    reports = Reports()
    app = await polling(app_of, reports, random=lambda: 0.0)
    app.fetch_errors = {"fast_info": [OSError()], "part2": [DOWN]}
    await poll(app, reports, count=0)
    assert reports.batches == []


async def test_what_is_invalid_before_a_report_is_due_goes_out_with_it(app_of: Start) -> None:
    reports = Reports()
    app = await polling(app_of, reports, random=lambda: 0.5)
    app.fetch_errors = {"fast_info": [BAD] * 5}
    for _ in range(2):
        await poll(app, reports, count=0)
        app.now += 14
    app.now += 2
    await poll(app, reports, count=1)
    assert [part.count for part in reports.batches[0]] == [3]
    # The next one after the server's time, and a drawn share of half of it.
    app.now += NEXT_S * 1.25 - 1
    await poll(app, reports, count=1)
    app.now += 1
    await poll(app, reports, count=2)
    assert [part.count for part in reports.batches[1]] == [2]


async def test_a_report_that_fails_fails_no_poll_and_is_made_again_later(app_of: Start) -> None:
    reports = Reports(DOWN, ValueError("broken"))
    app = await polling(app_of, reports, random=lambda: 0.0)
    app.fetch_errors = {"fast_info": [BAD, BAD, None]}
    for count in (1, 2, 3):
        await poll(app, reports, count=count)
    assert [[part.count for part in batch] for batch in reports.batches] == [[1], [2], [2]]
    assert len(app.polls) == 3


async def test_pauses_between_failing_reports_grow(app_of: Start) -> None:
    reports = Reports(*[DOWN] * 3)
    app = await polling(app_of, reports, random=lambda: 1.0)
    app.fetch_errors = {"fast_info": [BAD] * 9}
    await poll(app, reports, count=0)
    for ended, pause in enumerate((60, 120, 240)):
        app.now += pause - 1
        await poll(app, reports, count=ended)
        app.now += 1
        await poll(app, reports, count=ended + 1)


async def test_a_server_that_takes_no_reports_is_sent_no_more(app_of: Start) -> None:
    reports = Reports(ServiceError(grpc.StatusCode.UNIMPLEMENTED))
    app = await polling(app_of, reports, random=lambda: 0.0)
    app.fetch_errors = {"fast_info": [BAD] * 3}
    for _ in range(3):
        await poll(app, reports, count=1)
    assert len(app.polls) == 3


async def test_what_waits_to_be_reported_is_bounded(app_of: Start) -> None:
    reports = Reports()
    app = await polling(app_of, reports, random=lambda: 1.0)
    names = [f"part {number}" for number in range(30)]
    app.responses = [response(order_state("taxi", "order1", *names))]
    app.fetch_errors = {name: [BAD] * 2_000 for name in names}
    for _ in range(3):
        await poll(app, reports, count=0)
    queue = app.poller._reports._queue
    for _ in range(2_000):
        queue.add("taxi", "part 0", BAD, now=0.0, drawn=1.0)
    app.now += 60
    await poll(app, reports, count=1)
    assert len(reports.batches[0]) == 20
    assert [part.count for part in reports.batches[0]] == [1_000, *[4] * 19]


@pytest.mark.parametrize("parts", [1, 3])
def test_a_blocking_poll_waits_for_no_report(parts: int) -> None:
    reporting, ending = threading.Event(), threading.Event()

    def report(**_parts: object) -> InvalidPartsReceipt:
        reporting.set()
        assert ending.wait(20)
        return InvalidPartsReceipt(True, 1)

    def fetch(*_part: object) -> int:
        raise BAD

    names = [str(number) for number in range(parts)]
    poller = OrderPoller[int](
        lambda **_request: response(order_state("taxi", "order1", *names)), fetch, report=report, random=lambda: 0.0
    )
    poller.start(launched())
    try:
        for _ in range(3):
            assert len(poller.poll_once().failed) == parts
        assert reporting.wait(20)
    finally:
        ending.set()


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=60,
)


@given(json_values)
def test_a_shape_is_what_the_contract_takes_and_holds_no_value(content: Any) -> None:
    entries = shape_of({"secret 123": content, "79161234567": "canary", "name": "canary"})
    assert 1 <= len(entries) <= 50
    assert len(set(entries)) == len(entries)
    for entry in entries:
        assert len(entry.path) <= 256
        assert all(len(name) <= 64 for name in entry.path.split("."))
        assert "canary" not in entry.path
        assert "7916" not in entry.path
        assert " " not in entry.path


def test_a_shape_tells_types_apart_and_elements_share_a_place() -> None:
    content: dict[str, Any] = {"a": [1, 2.5, "x", True, None, {"b": []}], "7": {}}
    assert {(entry.path, entry.type.value) for entry in shape_of(content)} == {
        ("$", "object"),
        ("$.a", "array"),
        ("$.a.$item", "number"),
        ("$.a.$item", "string"),
        ("$.a.$item", "boolean"),
        ("$.a.$item", "null"),
        ("$.a.$item", "object"),
        ("$.a.$item.b", "array"),
        ("$.$name", "object"),
    }
    assert shape_of([[1] * 100_000] * 3)[-1] == ShapeEntry("$.$item.$item", JsonType.NUMBER)
