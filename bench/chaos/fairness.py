"""Twenty passengers start their apps while another floods the gateway with the largest launch requests."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bench import open_loop
from bench.open_loop import Event, Stream, quantile

from .report import ChaosReport, Effort
from .suite_up import LAUNCH, SuiteUp

PART = "fairness"

_PASSENGERS = 20
_RATE = 1.0
_SECONDS = 12.0
_FLOODERS = 4
# How many orders, and the details of each: as many values as 256 KiB hold, as many as the contract allows, long text,
# as many values as fit into a body whose bytes do not count, and none.
_FLOODS: dict[str, tuple[int, object]] = {
    "the most bytes": (50, [0] * 2400),
    "the most values": (50, [0] * 45),
    "the longest text": (1, "x" * 240 * 1024),
    "bodies below 4 KiB": (1, [0] * 1950),
    "small requests": (50, []),
}
_MAX_RATIO = 3.0
_DEADLINE_S = 5.0


def _others(suite: SuiteUp) -> list[Stream]:
    body = json.dumps({"supported_services": ["taxi"], "known_orders": []}).encode()
    return [
        Stream(
            f"passenger {number}",
            suite.ready["http"],
            LAUNCH,
            [body],
            _RATE,
            deadline_s=_DEADLINE_S,
            headers={"authorization": f"Bearer {suite.session_token(str(4_100_000_000 + number))}"},
            protocol="http",
            source=f"127.0.1.{number + 1}",
        )
        for number in range(_PASSENGERS)
    ]


def _flood(suite: SuiteUp, count: int, value: object) -> Stream:
    orders = [
        {"orderid": f"order-{number}", "service": "taxi", "status": "driving", "details": {"a": value}}
        for number in range(count)
    ]
    # Without blanks it is just below the limit of bytes.
    body = json.dumps({"supported_services": ["taxi"], "known_orders": orders}, separators=(",", ":")).encode()
    return Stream(
        "flood",
        suite.ready["http"],
        LAUNCH,
        [body],
        0.0,
        deadline_s=30.0,
        headers={"authorization": f"Bearer {suite.session_token('4200000000')}"},
        connections=_FLOODERS,
        protocol="http",
        source="127.0.2.1",
    )


def _all(events: open_loop.Events) -> list[Event]:
    return [event for name, those in events.items() if name != "flood" for event in those]


def _p99_ms(events: Sequence[Event]) -> float:
    return quantile((1000 * event.seconds for event in events), 0.99)


async def run(report: ChaosReport, folder: Path, effort: Effort) -> None:
    seconds = 4.0 if effort.quick else _SECONDS
    with ExitStack() as stack:
        suite = SuiteUp(folder)
        stack.callback(suite.kill_everything)
        suite.start()
        stack.callback(suite.stop)
        await open_loop.run(_others(suite), 2.0, folder)  # connections, caches
        alone = _all(await open_loop.run(_others(suite), seconds, folder))
        for what, (count, value) in _FLOODS.items():
            events = await open_loop.run([*_others(suite), _flood(suite, count, value)], seconds, folder)
            _add(report, what, alone, events)


def _add(report: ChaosReport, what: str, alone: Sequence[Event], events: open_loop.Events) -> None:
    beside = _all(events)
    failures = Counter(event.reason or event.code for event in beside if not event.is_acknowledged)
    ratio = _p99_ms(beside) / max(1.0, _p99_ms(alone))
    figures = {
        "calls": len(beside),
        "failed alone": sum(not event.is_acknowledged for event in alone),
        "failed beside the flood": failures.total(),
        "p99 ms alone": _p99_ms(alone),
        "p99 ms beside": _p99_ms(beside),
        "ratio": ratio,
    }
    flood = Counter(f"{event.code} {event.reason}".strip() for event in events["flood"])
    report.add(
        PART,
        f"{_PASSENGERS} passengers beside a flood of {what}",
        figures,
        promise=f"0 failures, p99 <= {_MAX_RATIO:g} x",
        kept=not failures and ratio <= _MAX_RATIO,
        note=f"the flood got {', '.join(f'{name}: {count}' for name, count in flood.most_common(3))}",
    )
