"""The campaign's own judgement: what counts as back, as lost and as broken."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from bench import go_programs, open_loop
from bench.chaos.calls import WORKLOADS, Journal, Keys, Workload, found_in
from bench.chaos.outage_cases import case_of, recovered
from bench.chaos.outages import groups
from bench.chaos.postgres import put_shared_orders
from bench.chaos.report import ChaosReport
from bench.open_loop import Event
from ridehail_servers import suite
from tests.support.suite_in_process import SuiteInProcess
from tests.support.waiting import until


def event(sent: float, code: str = "OK", index: int = 0) -> Event:
    return Event(index, sent, sent, sent + 0.01, code, "", 0)


def test_a_service_is_back_with_the_first_of_five_good_calls_in_a_row_after_healing() -> None:
    good = [event(sent) for sent in (9.0, 10.0, 11.0)]
    bad = [event(12.0, "Unavailable")]
    five = [event(13.0 + number) for number in range(5)]

    assert recovered([*good, *bad, *five], healed=9.5) == 13.0
    assert recovered([*good, *bad, *five[:4]], healed=9.5) is None


def test_a_service_without_five_good_calls_in_a_row_is_dead_and_late() -> None:
    case = case_of("refused", 2.0, ("family", 20), 9.0, [event(10.0, "Unavailable") for _ in range(60)])

    assert case.dead
    assert case.is_late


def test_lost_and_doubled_writes_are_found() -> None:
    journal = Journal()
    journal.note(["1", "2", "3"], [event(1.0, index=0), event(1.0, index=1), event(1.0, "Unavailable", index=2)])

    assert journal.judge(Counter(["1", "2"])) == {"acknowledged": 2, "lost": 0, "doubled": 0}
    assert journal.judge(Counter(["1", "3", "3"])) == {"acknowledged": 2, "lost": 1, "doubled": 1}


@pytest.mark.parametrize("at_once", [1, 4, 8, 10])
def test_each_service_meets_each_rate_once(at_once: int) -> None:
    met = Counter(pair for rates in groups(at_once) for pair in rates.items())

    assert len(met) == 4 * len(WORKLOADS)
    assert set(met.values()) == {1}


def test_every_service_with_a_database_has_a_workload() -> None:
    assert WORKLOADS.keys() == {name for name, it in suite.SERVICES.items() if it.schema is not None}


def test_a_broken_promise_fails_the_campaign_and_stands_in_its_files(tmp_path: Path) -> None:
    report = ChaosReport(tmp_path)
    report.add("part", "kept", {"figure": 1}, promise="p", kept=True)
    assert report.close() == 0

    report.add("part", "broken", {"figure": 2.0}, promise="p", kept=False)

    assert report.close() == 1
    assert "| part | broken | figure 2 | p | **NO** |" in (tmp_path / "chaos.md").read_text()
    assert [it["kept"] for it in json.loads((tmp_path / "chaos.json").read_text())["findings"]] == [True, False]


async def test_the_writes_of_every_service_are_found_in_its_database(
    running_suite: SuiteInProcess, tmp_path: Path
) -> None:
    try:
        go_programs.built("loadgen")
    except go_programs.ToolMissing as error:
        pytest.skip(str(error))
    put_shared_orders(running_suite.database_url)
    keys = Keys()
    numbers = {service: keys.take(2) for service in WORKLOADS}
    streams = {
        service: workload.write.stream(running_suite.address, running_suite.keys, numbers[service], 5.0)
        for service, workload in WORKLOADS.items()
    }

    events = await open_loop.run(list(streams.values()), 0.4, tmp_path)

    for stream in streams.values():
        assert [(it.index, it.code) for it in events[stream.name]] == [(0, "OK"), (1, "OK")], stream.name
    async with running_suite.worker():
        for service, workload in WORKLOADS.items():
            journal = Journal()
            journal.note(numbers[service], events[streams[service].name])
            await until(partial(found, running_suite, workload, journal))


async def found(running_suite: SuiteInProcess, workload: Workload, journal: Journal) -> bool:
    judged = journal.judge(await asyncio.to_thread(found_in, running_suite.database_url, workload.written))
    return judged == {"acknowledged": 2, "lost": 0, "doubled": 0}
