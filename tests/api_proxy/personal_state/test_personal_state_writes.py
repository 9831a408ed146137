"""A write is made once: it falls back only if it certainly was not made."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api
from ridehail_clients import NeighbourUnavailable, RevisionConflict
from tests.api_proxy.personal_state.personal_state_harness import (
    WRITE,
    Got,
    StateHarness,
    configure,
    set_experiments,
    state_harness,
)
from tests.support.fault_proxy import Fault, down, handled_then_hanging, hanging, lost_response
from tests.support.ports import unused_port
from tests.support.served_process import kill, serve
from tests.support.waiting import until


def is_unknown(got: Got) -> bool:
    return isinstance(got.error, NeighbourUnavailable) and got.error.metadata == {"neighbour": "user-state"}


@pytest.fixture
async def harness(module_harness: StateHarness) -> StateHarness:
    """The new back end answers a rider who has another tariff in each."""
    await module_harness.empty()
    module_harness.set_experiments()
    module_harness.configure(mode="new", new_timeout_ms=1000)
    await module_harness.give("in-1")
    return module_harness


@pytest.mark.parametrize(
    ("fault", "is_made"),
    [(lost_response, True), (handled_then_hanging, True), (down, False), (hanging, False)],
    ids=["answer lost", "served, then silence", "not served", "silence"],
)
async def test_a_write_of_unknown_outcome_is_not_made_again(harness: StateHarness, fault: Fault, is_made: bool) -> None:
    harness.new.fail(fault, WRITE)
    assert is_unknown(await harness.write("in-1"))
    assert await harness.revisions("in-1") == ("1", "2" if is_made else "1")
    assert [one.to for one in harness.log if one.method == WRITE] == ["new"]
    harness.new.heal()
    # The rider reads again, and goes on from what is there.
    state = await harness.read("in-1")
    assert state.state is not None
    assert (await harness.write("in-1", str(state.state["revision_id"]))).by == "new"


async def test_a_rider_whose_reads_stay_does_not_write_to_the_new_back_end(harness: StateHarness) -> None:
    harness.set_experiments(reads={"if": [False, "on", "off"]})
    assert (await harness.write("in-1")).by == "old"
    assert await harness.revisions("in-1") == ("2", "1")
    assert [one.to for one in harness.log if one.method == WRITE] == ["new", "old"]


# --- the real thing, killed


@dataclass
class Writer:
    """A rider who makes one write after the other, each with a tariff of its own, so that the states show all of them.

    Attributes:
        made: The tariffs of writes that were answered with a state.
        open: Those of writes whose outcome is unknown.
    """

    harness: StateHarness
    uid: str
    made: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    revision: str = "0"
    _tariffs: int = 0

    async def write(self) -> None:
        """Makes a write. After one that was not made, or perhaps, the next goes on from what is there."""
        self._tariffs += 1
        tariff = f"{self.uid}-{self._tariffs}"
        request = api.PersonalStateRequest(revision_id=self.revision)
        request.tariffs.add(category=tariff)
        got = await self.harness.send(self.uid, request)
        if got.state is not None:
            self.made.append(tariff)
            self.revision = str(got.state["revision_id"])
        elif isinstance(got.error, RevisionConflict):
            self.revision = got.error.metadata["current_revision_id"]
        else:
            assert is_unknown(got), got.error
            self.open.append(tariff)
            state = (await self.harness.read(self.uid)).state
            assert state is not None
            self.revision = str(state["revision_id"])


async def test_no_write_is_made_twice_or_lost_when_the_new_back_end_is_killed(
    database_url: str, keys_dir: Path, config_dir: Path
) -> None:
    set_experiments(config_dir)
    configure(config_dir, mode="new", new_timeout_ms=2000)
    port = unused_port()
    async with AsyncExitStack() as stack:
        running = serve("user-state", port=port, database_url=database_url, keys_dir=keys_dir, config_dir=config_dir)
        stack.callback(kill, running)
        harness = await stack.enter_async_context(
            state_harness(
                database_url=database_url,
                keys_dir=keys_dir,
                config_dir=config_dir,
                new_at=f"127.0.0.1:{port}",
                watched=False,
            )
        )
        writers = [Writer(harness, f"in-{number}") for number in range(4)]
        await until(lambda: harness.is_answered_by("in-probe", "new"))
        for writer in writers:
            await writer.write()
            assert len(writer.made) == 1
        # Writes that have reached the database, and wait there: whoever is killed now has not answered.
        async with await psycopg.AsyncConnection.connect(database_url) as locking:
            await locking.execute("LOCK TABLE user_state.personal_states IN SHARE MODE")
            held = [asyncio.create_task(writer.write()) for writer in writers]
            await until(lambda: all_wait(harness, len(writers)))
            kill(running)
            await asyncio.gather(*held)
        assert all(len(writer.open) == 1 for writer in writers)
        # Nobody is there to be called any more, and the old back end stands in.
        for writer in writers:
            for _ in range(3):
                await writer.write()
            old, new = await tariffs(harness, writer.uid)
            assert not old & new
            assert set(writer.made) <= old | new <= {*writer.made, *writer.open}
            assert len(old) == 3
            assert len(writer.open) == 1


async def all_wait(harness: StateHarness, number: int) -> bool:
    rows = await harness.suite.rows(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'user-state'"
        " AND datname = current_database()"
    )
    return rows == [(number,)]


async def tariffs(harness: StateHarness, uid: str) -> tuple[set[str], set[str]]:
    """Returns the tariffs that the two back ends keep of a rider."""
    old, new = [
        {str(name) for (name,) in await harness.suite.rows(query, uid)}
        for query in (
            "SELECT jsonb_array_elements(document->'tariffs')->>'category' FROM protocol.users WHERE yandex_uid = %s",
            "SELECT jsonb_object_keys(tariffs) FROM user_state.personal_states WHERE yandex_uid = %s",
        )
    ]
    return old, new
