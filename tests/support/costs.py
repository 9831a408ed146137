"""What a run of the tests costs: its slowest set-ups and tests, and the CPU of every file."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Generator, Iterable, Iterator
from operator import itemgetter

import psutil
import pytest

from tests.support.shared_postgres import SHARED

_CPU = "cpu_s"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("costs")
    group.addoption("--slowest", type=int, default=0, metavar="N", help="show the N slowest set-ups and tests")
    group.addoption(
        "--cpu",
        action="store_true",
        help="show the CPU of every file, that of its processes included; with `-n 0` it is exact",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--cpu"):
        config.pluginmanager.register(_Meter(config))


class _Meter:
    """The CPU of this process, its descendants, and the shared Postgres."""

    def __init__(self, config: pytest.Config) -> None:
        self._postgres = config.stash[SHARED]
        self._last = 0.0

    def pytest_collection_finish(self) -> None:
        self._last = self._total()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if call.when == "teardown":
            before, self._last = self._last, self._total()
            report.user_properties.append((_CPU, self._last - before))
        return report

    def _total(self) -> float:
        return sum(map(_cpu_of, self._processes()))

    def _processes(self) -> Iterator[psutil.Process]:
        for root in (psutil.Process(), self._postgres.process()):
            if root is not None:
                yield root
                yield from root.children(recursive=True)


def _cpu_of(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    reports = [
        report for kind in terminalreporter.stats.values() for report in kind if isinstance(report, pytest.TestReport)
    ]
    if config.pluginmanager.hasplugin("randomly"):
        terminalreporter.write_line(f"the order was that of --randomly-seed={config.getoption('randomly_seed')}")
    if number := config.getoption("--slowest"):
        for when, what in (("setup", "set-ups"), ("call", "tests")):
            terminalreporter.section(f"{number} slowest {what}")
            took = Counter({report.nodeid: report.duration for report in reports if report.when == when})
            _print(terminalreporter, took.most_common(number))
    if config.getoption("--cpu"):
        terminalreporter.section("CPU of files")
        spent: defaultdict[str, float] = defaultdict(float)
        for report in reports:
            if report.when == "teardown":
                spent[report.location[0]] += sum(
                    float(str(value)) for name, value in report.user_properties if name == _CPU
                )
        _print(
            terminalreporter, [*sorted(spent.items(), key=itemgetter(1), reverse=True), ("all", sum(spent.values()))]
        )


def _print(terminalreporter: pytest.TerminalReporter, seconds: Iterable[tuple[str, float]]) -> None:
    for name, value in seconds:
        terminalreporter.write_line(f"{value:8.2f} s {name}")
