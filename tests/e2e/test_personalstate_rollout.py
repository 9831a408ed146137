"""The roll-out of user-state as its runbook has it: each command of the page is run here."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from ridehail.userstate.v1 import user_state_api_pb2 as user_state
from ridehail_servers import resources
from ridehail_servers.api_proxy.config import ApiProxyConfig
from ridehail_servers.api_proxy.personal_state.config import PersonalStateConfig
from ridehail_servers.api_proxy.personal_state.metrics import show_at_zero
from ridehail_servers.chassis.config import load
from ridehail_servers.chassis.experiments import Experiments
from ridehail_servers.chassis.metrics import CONFIG_INVALID
from tests.api_proxy.personal_state.personal_state_harness import (
    READ,
    READS,
    WRITE,
    WRITES,
    StateHarness,
    counted,
    state_harness,
)
from tests.deploy.queries import TARGET_LABELS, read
from tests.e2e.riders import SETTING, TARIFF, Rider, living
from tests.e2e.rollout_page import Shell, blocks
from tests.support.fault_proxy import Call, Forward, down
from tests.support.harness import behind_a_gateway
from tests.support.waiting import LIMIT_S, until

TEAM = ("4000000001", "4000000002")
SECTIONS = sorted({block.section for block in blocks() if block.is_edit})


# --- the edits


@dataclass(frozen=True)
class Edited:
    """What the files say.

    Attributes:
        personalstate: Of api_proxy.yaml.
        shares: By the experiment, of 10000.
        teams: By the experiment.
    """

    personalstate: PersonalStateConfig
    shares: dict[str, int]
    teams: dict[str, list[str]]


def edited(folder: Path) -> Edited:
    Experiments(folder / "flags.json")  # refuses what is not a good file
    flags = json.loads((folder / "flags.json").read_text())["flags"]
    branches = {name: flags[name]["targeting"]["if"] for name in (READS, WRITES)}
    for branch in branches.values():
        assert sum(weight for _variant, weight in branch[2]["fractional"][1:]) == 10_000
    return Edited(
        load(folder / "api_proxy.yaml", ApiProxyConfig).personalstate,
        {name: branch[2]["fractional"][1][1] for name, branch in branches.items()},
        {name: branch[0]["in"][1] for name, branch in branches.items()},
    )


@pytest.mark.parametrize("section", SECTIONS)
def test_each_edit_of_the_page_works_and_its_way_back_takes_it_back(section: str, config_dir: Path) -> None:
    shell = Shell({"RIDEHAIL_CONFIG_DIR": str(config_dir)})
    texts = {file.name: file.read_text() for file in config_dir.iterdir()}
    before = edited(config_dir)
    assert before.shares == {READS: 0, WRITES: 0}
    for block in blocks(section, way_back=False):
        if block.is_edit:
            stood = edited(config_dir)
            shell.run(block.text)
            assert edited(config_dir) != stood, block.text
    back = [block for block in blocks(section, way_back=True) if block.is_edit]
    assert back, "no way back"
    for block in back:
        shell.run(block.text)
    # To the letter: the comments, too.
    assert {file.name: file.read_text() for file in config_dir.iterdir()} == texts


def test_every_step_has_a_way_back_and_says_what_is_good() -> None:
    page = re.split(r"^## Step ", (Path(__file__).parents[2] / "docs/personalstate-rollout.md").read_text(), flags=re.M)
    assert [step[0] for step in page[1:]] == list("12345678")
    for step in page[1:]:
        assert "\nWay back" in step, step.splitlines()[0]
        assert "\nGood" in step or step.startswith("8"), step.splitlines()[0]


def test_each_query_of_the_page_reads_what_is_exported() -> None:
    show_at_zero()
    for file in ("flags.json", "api_proxy.yaml"):
        CONFIG_INVALID.labels(file).set(0)
    known: dict[str, frozenset[str]] = {}
    values: dict[tuple[str, str], set[str]] = {}
    for family in REGISTRY.collect():
        for sample in family.samples:
            known[sample.name] = frozenset(sample.labels) | TARGET_LABELS
            for label, value in sample.labels.items():
                values.setdefault((sample.name, label), set()).add(value)
    queries = [block.text for block in blocks() if block.language == "promql"]
    assert len(queries) > 5
    for text in queries:
        for matcher in read(text, known).matchers:
            assert matcher.fits(values[matcher.metric, matcher.label]), text


# --- the rehearsal


@dataclass(frozen=True)
class Totals:
    """A line of the report."""

    equal: int
    different: int
    behind: int


@dataclass
class Rehearsal:
    """The suite, the riders and the jobs of the roll-out."""

    harness: StateHarness
    shell: Shell
    riders: list[Rider]
    jobs: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def do(self, section: str, *, number: int | None = None, way_back: bool = False) -> None:
        """Makes the edits of a section, or the one with a number."""
        edits = [block for block in blocks(section, way_back=way_back) if block.is_edit]
        assert edits
        for block in edits if number is None else [edits[number]]:
            await asyncio.to_thread(self.shell.run, block.text)

    async def follow(self, section: str) -> None:
        """Starts the job of a section."""
        (job,) = [block for block in blocks(section) if block.language == "sh follow"]
        self.jobs.append(await self.shell.start(job.text))

    async def ask(self, section: str) -> str:
        """Returns what the querying command of a section prints."""
        (question,) = [block for block in blocks(section) if block.language == "sh" and "ridehail " in block.text]
        return await asyncio.to_thread(self.shell.run, question.text)

    async def report(self) -> tuple[Totals, Totals]:
        """Returns the report's totals of reads and of writes."""
        text = await self.ask("Step 5")
        reads, writes = re.findall(r"^(?:read|write): equal=(\d+) different=(\d+) behind=(\d+)", text, re.M)
        return Totals(*map(int, reads)), Totals(*map(int, writes))

    async def are_asked(self, method: str, uids: set[str], *, by: str = "new") -> None:
        """Waits until a back end gets calls of exactly these riders."""

        async def goes_so() -> bool:
            start = len(self.harness.log)
            await until(lambda: self._everybody_called(method, start))
            return {uid_of(one) for one in self.harness.log[start:] if (one.to, one.method) == (by, method)} == uids

        await until(goes_so)

    def _everybody_called(self, method: str, start: int) -> bool:
        called = {uid_of(one) for one in self.harness.log[start:] if one.method == method}
        return called >= {rider.uid for rider in self.riders}

    async def grows(self, value: Callable[[], float], by: float) -> None:
        """Waits until a value has grown."""
        before = value()
        await until(lambda: value() >= before + by)

    def compared(self, kind: str) -> float:
        return counted("comparisons_total", kind=kind, outcome="compared")

    def answered(self, kind: str, route: str, by: str) -> float:
        return counted("requests_total", kind=kind, route=route, answered_by=by)


def uid_of(call: Call) -> str:
    # Both requests begin with it, in both contracts.
    if call.method not in {READ, WRITE}:
        return ""
    return user_state.UpdatePersonalStateRequest.FromString(call.request).yandex_uid


async def planted_bug(forward: Forward) -> bytes:
    """A user-state with a bug: it stores numbers as texts."""
    answer = user_state.GetPersonalStateResponse.FromString(await forward())
    for tariff in answer.tariffs:
        if SETTING in tariff.requirements:
            tariff.requirements[SETTING] = str(tariff.requirements[SETTING])
    return answer.SerializeToString()


def some_uids(config_dir: Path, folder: Path) -> Iterator[tuple[int, str]]:
    """Yields uids with the page's first share that includes them."""
    made: dict[int, Experiments] = {}
    for share in (100, 2_500, 10_000):
        copied = Path(shutil.copytree(config_dir, folder / str(share)))
        Shell({"RIDEHAIL_CONFIG_DIR": str(copied)}).run(f"share $reads {share}")
        made[share] = Experiments(copied / "flags.json")
    for uid in map(str, range(5_000_000_000, 5_000_100_000)):
        yield next(share for share, flags in made.items() if flags.enabled(READS, passenger=uid)), uid


def chosen_uids(config_dir: Path, folder: Path) -> dict[int, list[str]]:
    """Returns a uid of each share."""
    chosen: dict[int, list[str]] = {100: [], 2_500: [], 10_000: []}
    for share, uid in some_uids(config_dir, folder):
        if not chosen[share]:
            chosen[share].append(uid)
        if all(chosen.values()):
            break
    return chosen


@asynccontextmanager
async def rehearsal(
    harness: StateHarness, uids: list[str], folder: Path, config_dir: Path, keys_dir: Path
) -> AsyncIterator[Rehearsal]:
    """Calls go through the gateway; processes are stopped in the end."""
    shell = Shell(
        {
            "RIDEHAIL_CONFIG_DIR": str(config_dir),
            "RIDEHAIL_KEYS_DIR": str(keys_dir),
            "RIDEHAIL_ADDRESSES": f"protocol={harness.suite.address} user-state={harness.suite.address}",
            "RIDEHAIL_DATABASE_URL": harness.suite.database_url,
        }
    )
    async with behind_a_gateway(harness.suite, folder) as gateway:
        riders = [Rider(gateway, uid, by_json=number % 3 == 0) for number, uid in enumerate(uids)]
        run = Rehearsal(harness, shell, riders)
        try:
            yield run
        finally:
            for job in run.jobs:
                job.send_signal(signal.SIGINT)
            for job in run.jobs:
                await asyncio.wait_for(job.wait(), LIMIT_S)


@pytest.mark.timeout(600)
async def test_the_whole_roll_out_under_traffic_shows_no_error_to_a_rider(
    database_url: str, keys_dir: Path, config_dir: Path, tmp_path: Path
) -> None:
    # A busy machine is no outage. By text: the page's commands are for files as they ship.
    file = config_dir / "api_proxy.yaml"
    text = re.sub(r"new_timeout_ms: \d+", "new_timeout_ms: 2000", file.read_text())
    file.write_text(re.sub(r"old_timeout_ms: \d+", "old_timeout_ms: 2500", text))
    by_share = chosen_uids(config_dir, tmp_path / "shares")
    everybody = [*TEAM, *(uid for uids in by_share.values() for uid in uids)]
    async with (
        state_harness(database_url=database_url, keys_dir=keys_dir, config_dir=config_dir) as harness,
        rehearsal(harness, everybody, tmp_path, config_dir, keys_dir) as run,
        living(run.riders),
    ):
        await roll_out(run, by_share)
    for rider in run.riders:
        assert rider.failures == []
        assert rider.writes >= 3
        # Only at the change of who answers: see the page.
        assert rider.refused <= 2


async def roll_out(run: Rehearsal, by_share: dict[int, list[str]]) -> None:
    harness, everybody = run.harness, {rider.uid for rider in run.riders}

    # Step 1: nothing changes.
    await run.are_asked(READ, set())
    await run.are_asked(READ, everybody, by="old")
    await until(lambda: all(rider.writes for rider in run.riders))

    # Step 2.
    assert re.search(rf"listed={len(everybody)} due={len(everybody)}", await run.ask("Step 2"))
    await run.follow("Step 2")
    await until(lambda: all_copied(harness, len(everybody)))

    # Step 3, and back.
    await run.do("Step 3")
    await run.are_asked(READ, set(TEAM))
    await run.grows(lambda: run.compared("write"), 1)
    await run.do("Step 3", way_back=True)
    await run.are_asked(READ, set())
    assert [kind.different for kind in await run.report()] == [0, 0]

    # Step 5, with a defect in the new back end. Riders see nothing of it.
    harness.new.fail(planted_bug, READ)
    await run.do("Step 5", number=0)
    team = {uid for uid in TEAM if uid in in_share(run, READS)}
    await run.are_asked(READ, {*by_share[100], *team})
    await run.do("Step 5", number=1)
    await run.are_asked(READ, in_share(run, READS))
    assert in_share(run, READS) >= {*by_share[100], *by_share[2_500]}
    assert not in_share(run, READS) & set(by_share[10_000])
    report = await run.ask("Step 5")
    assert re.search(rf"^ +\d+  read  /tariffs/\*/requirements/{SETTING}$", report, re.M), report
    assert re.search(rf"/requirements/{SETTING}: number -> string", report), report

    # Mended: from now on nothing differs.
    harness.new.heal()
    await run.grows(lambda: run.compared("read"), 5)
    mended, _writes = await run.report()
    assert mended.different > 0
    await run.do("Step 5", number=2)
    await run.are_asked(READ, everybody)
    await run.grows(lambda: run.compared("read"), 40)

    # Step 6: each rider's write goes to both, and is kept by the old one alone.
    await run.do("Step 6", number=0)
    await run.do("Step 6", number=1)
    await run.are_asked(WRITE, in_share(run, WRITES))
    await run.do("Step 6", number=2)
    await run.are_asked(WRITE, everybody)
    await run.grows(lambda: run.compared("write"), len(everybody))
    assert all(
        "x-ya-mock-write-request" in one.headers for one in harness.log if (one.to, one.method) == ("new", WRITE)
    )
    assert (
        await harness.suite.rows(
            "SELECT yandex_uid FROM user_state.personal_states JOIN protocol.users USING (yandex_uid)"
            " WHERE revision > (document ->> 'revision')::bigint"
        )
        == []
    )
    reads, writes = await run.report()
    assert reads.different == mended.different
    assert reads.equal > mended.equal
    assert writes.different == 0
    assert writes.equal > 0

    # Step 7.
    await run.follow("Step 7")
    await run.do("Step 7")
    await run.are_asked(READ, set(), by="old")
    await run.are_asked(WRITE, set(), by="old")
    await run.grows(lambda: run.answered("write", "new", "new"), len(everybody))
    # The new back end does not answer reads for a while.
    harness.new.fail(down, READ)
    await run.grows(lambda: run.answered("read", "new", "old"), 10)
    harness.new.heal()
    await run.grows(lambda: run.answered("read", "new", "new"), 10)

    # And back again: nothing that was written is gone.
    await run.do("Step 7", way_back=True)
    await run.are_asked(READ, everybody, by="old")
    await run.grows(lambda: run.answered("write", "compare", "old"), len(everybody))
    await until(lambda: all_there(run))
    assert [kind.different for kind in await run.report()] == [mended.different, 0]


def in_share(run: Rehearsal, experiment: str) -> set[str]:
    """Returns the riders who take part according to the file."""
    flags = Experiments(run.harness.suite.settings.config_dir / "flags.json")
    return {rider.uid for rider in run.riders if flags.enabled(experiment, passenger=rider.uid)}


async def all_copied(harness: StateHarness, number: int) -> bool:
    return await harness.suite.rows("SELECT count(*) FROM user_state.personal_states") == [(number,)]


async def all_there(run: Rehearsal) -> bool:
    """Returns whether both back ends have each rider's latest write."""
    old = await run.harness.suite.rows(
        "SELECT yandex_uid, (document -> 'tariffs' -> 0 -> 'requirements' ->> %s)::int FROM protocol.users", SETTING
    )
    new = await run.harness.suite.rows(
        "SELECT yandex_uid, (tariffs -> %s ->> %s)::int FROM user_state.personal_states", TARIFF, SETTING
    )
    last = {rider.uid: rider.last for rider in run.riders}
    return dict(old) == dict(new) == last  # type: ignore[arg-type]


def test_the_shipped_configuration_is_what_the_page_begins_with() -> None:
    shipped = edited(resources.folder("config"))
    assert shipped.personalstate.mode == "compare"
    assert shipped.teams == {READS: [], WRITES: []}
