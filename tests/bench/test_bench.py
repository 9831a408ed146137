"""The measurements run. Their figures are not judged: the machine is busy with other tests."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from bench import go_programs, load, open_loop
from bench.__main__ import main
from bench.cases import CASES
from bench.comparison import Figures, Goal
from bench.cpu import CORES
from bench.open_loop import Stream
from bench.peak_traffic import KINDS
from bench.verdicts import judge
from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from tests.support.folders import shared_folder
from tests.support.waiting import TIMEOUT_FACTOR

_FOR_WANT_OF_TIME = {"DEADLINE_EXCEEDED", "OVERLOADED"}
_CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def loadgen() -> Path:
    try:
        return go_programs.built("loadgen")
    except go_programs.ToolMissing as error:
        if shutil.which("go"):
            raise
        pytest.skip(str(error))


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments]
    process = subprocess.Popen(command, cwd=_CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        output, errors = process.communicate(timeout=600 * TIMEOUT_FACTOR)
    finally:
        # Interrupted, it ends its servers as well; killed, it would leave them behind.
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


CONTENDERS = {
    "retrieve": {"ridehail", "ridehail by grpcio", "fastapi", "grpc-go + pgx", "null handler", "null + chassis"},
    "batch": {"single calls", "batches"},
    "sizes": {"500 orders", "1,000 orders"},
    "check-eulas": {"ridehail", "fastapi", "null handler"},
    "batch-check-eulas": {"single calls", "batches"},
    "list-eulas": {"ridehail", "fastapi", "null handler"},
    "json-eulas": {"gRPC, direct", "JSON", "JSON, none remembered"},
    "poll-orders": {"ridehail", "fastapi", "null handler"},
    "taxi-on-the-way": {"ridehail", "fastapi", "null handler"},
    "get-personal-state": {"ridehail", "fastapi", "null handler"},
    "personal-state-compare": {"both, compared", "old alone"},
}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with shared_folder() as path:
        yield path


# Of each kind of contender, one.
SHORT = ("retrieve", "json-eulas", "taxi-on-the-way")


@pytest.fixture(scope="module")
def measured(request: pytest.FixtureRequest, loadgen: Path, folder: Path) -> dict[str, list[list[str]]]:
    """The cells of the tables of a run, by the title above them."""
    ended = run("bench", "--quick", "--folder", str(folder), *(CASES if request.config.getoption("--long") else SHORT))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return tables_of((folder / "report.md").read_text())


def tables_of(report: str) -> dict[str, list[list[str]]]:
    sections = (part.splitlines() for part in report.split("## ")[1:])
    return {
        title: [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines if line.startswith("|")][2:]
        for title, *lines in sections
    }


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "case", [case if case in SHORT else pytest.param(case, marks=pytest.mark.long) for case in CASES]
)
def test_a_case_starts_its_servers_and_tells_its_figures_and_ratios(
    measured: dict[str, list[list[str]]], case: str
) -> None:
    rows = {name: [float(cell.replace(",", "")) for cell in cells] for name, *cells in measured[CASES[case].title]}
    assert rows.keys() == CONTENDERS[case]
    for name, cells in rows.items():
        requests_per_s, _orders, p50, p99, server_us, dependencies_us, _postgres_us, generator_us = cells
        assert requests_per_s > 0
        assert 0 < p50 <= p99
        assert server_us > 0
        has_dependencies = case in {"taxi-on-the-way", "json-eulas"} and name not in {"null handler", "gRPC, direct"}
        assert (dependencies_us > 0) == has_dependencies
        assert generator_us > 0
    ratios = [cells for cells in measured["Ratios"] if cells[0] == case]
    assert [cells[1] for cells in ratios] == [goal.text for goal in CASES[case].goals]
    for *_, median, lowest, highest, _verdict in ratios:
        assert 0 < float(lowest) <= float(median) <= float(highest)


@pytest.mark.timeout(300)
def test_the_peak_is_sent_and_no_call_fails_but_for_want_of_time(loadgen: Path, folder: Path) -> None:
    ended = run("bench.peak", "--quick", "--folder", str(folder))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (rows,) = tables_of((folder / "peak.md").read_text()).values()
    assert {kind for kind, *_ in rows} == set(KINDS)
    for kind, _rate, errors, *_latencies in rows:
        assert set(errors.split()[::2]) <= _FOR_WANT_OF_TIME | {"0"}, kind


def rounds_of(*ratios: float, other_cores: float = 0.0) -> list[dict[str, Figures]]:
    def figures(requests_per_s: float) -> Figures:
        return Figures(requests_per_s, 1, 1, 1, 0, 1, 1, other_cores)

    return [{"ours": figures(1000 * ratio), "theirs": figures(1000)} for ratio in ratios]


TWICE = Goal("", lambda by: by["ours"].requests_per_s / by["theirs"].requests_per_s, 2.0, at_least=True)
AT_MOST_TWICE = Goal("", TWICE.ratio, 2.0, at_least=False)


@pytest.mark.parametrize(
    ("goal", "ratios", "verdict"),
    [
        (TWICE, (2.0, 2.1, 2.2, 1.9), "reached"),
        (TWICE, (1.8, 1.9, 1.7, 2.1), "missed"),
        (TWICE, (1.9, 2.1, 1.9, 2.1), "rounds disagree"),
        (AT_MOST_TWICE, (2.0, 1.9, 1.8, 1.7), "reached"),
        (AT_MOST_TWICE, (2.1, 2.2, 2.3, 2.4), "missed"),
    ],
)
def test_a_goal_is_reached_or_missed_only_where_rounds_agree(
    goal: Goal, ratios: tuple[float, ...], verdict: str
) -> None:
    judged = judge(goal, rounds_of(*ratios))
    assert judged.verdict == verdict
    assert (judged.lowest, judged.highest) == (min(ratios), max(ratios))


def test_nothing_is_told_of_a_machine_that_others_use() -> None:
    assert judge(TWICE, rounds_of(3, 3, 3, other_cores=CORES)).verdict == "too noisy to tell"


PATH = "/ridehail.tollroads.v1.TollRoadsService/BatchRetrieveOrders"


@asynccontextmanager
async def serving(
    answer: Callable[[api.BatchRetrieveOrdersRequest, object], Awaitable[api.BatchRetrieveOrdersResponse]],
) -> AsyncIterator[str]:
    """Serves BatchRetrieveOrders; yields the address."""
    handler = grpc.unary_unary_rpc_method_handler(
        answer, api.BatchRetrieveOrdersRequest.FromString, api.BatchRetrieveOrdersResponse.SerializeToString
    )
    _, service, method = PATH.split("/")
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {method: handler})])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


async def test_calls_that_are_due_while_a_batch_is_under_way_go_together_and_each_once(
    loadgen: Path, tmp_path: Path
) -> None:
    batches: list[list[str]] = []

    async def answer(request: api.BatchRetrieveOrdersRequest, _context: object) -> api.BatchRetrieveOrdersResponse:
        batches.append(list(request.order_ids))
        return api.BatchRetrieveOrdersResponse()

    orders = [str(number) for number in range(200)]
    bodies = [api.BatchRetrieveOrdersRequest(order_ids=[order]).SerializeToString() for order in orders]
    async with serving(answer) as address:
        stream = Stream("lookups", address, PATH, bodies, rate=2_000, connections=2, coalesce=True)
        events = await open_loop.run([stream], len(orders) / stream.rate, tmp_path)
    assert sorted(order for batch in batches for order in batch) == sorted(orders)
    assert len(batches) < len(orders)
    assert sorted(event.index for event in events["lookups"]) == list(range(len(orders)))
    assert {event.code for event in events["lookups"]} == {"OK"}


def test_a_request_that_fails_fails_the_measurement(loadgen: Path, tmp_path: Path) -> None:
    bodies = load.write_bodies(tmp_path / "bodies", [b"1", b"22"])
    nobody = load.Load("grpc", "127.0.0.1:1", "/a.B/C", bodies, {}, callers=2)
    with pytest.raises(load.LoadFailed, match=r"requests to /a\.B/C failed"):
        load.run(nobody, 0.2)


def test_an_unknown_case_is_refused_with_those_that_there_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "nonsense"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert f"no case 'nonsense'; there are: {', '.join(CASES)}" in capsys.readouterr().err


def test_without_go_it_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(go_programs, "_BUILT", tmp_path)
    monkeypatch.setattr(go_programs, "_GO_PLACES", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(go_programs.ToolMissing, match=r"loadgen needs Go 1\.25 or newer"):
        go_programs.built("loadgen")
