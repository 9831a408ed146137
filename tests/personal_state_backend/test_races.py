"""Updates of one user at once: of those with the same revision exactly one succeeds, and nothing is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest

from ridehail_clients import RevisionConflict
from tests.personal_state_backend.backends import STATE_TABLES, BackEnd, by_category
from tests.personal_state_backend.racer import UID, WRITERS, race
from tests.support import processes
from tests.support.locks import waiting_for_locks
from tests.support.waiting import until

PROCESSES, WINS = 3, 12
AT_ONCE = 12


async def test_exactly_one_of_several_processes_changes_a_revision(back_end: BackEnd, tmp_path: Path) -> None:
    outputs = {f"racer-{number}": tmp_path / str(number) for number in range(PROCESSES)}
    racers = [
        processes.start(race, back_end.name, back_end.suite.database_url, name, WINS, output)
        for name, output in outputs.items()
    ]
    for racer in racers:
        assert await asyncio.to_thread(processes.ended_well, racer)
    lines = [line.split() for output in outputs.values() for line in output.read_text().splitlines()]
    won = sorted(int(line[1]) for line in lines if line[0] == "won")
    assert won == list(range(1, PROCESSES * WRITERS * WINS + 1))
    lost = [(int(line[1]), int(line[2])) for line in lines if line[0] == "lost"]
    assert len(lost) > PROCESSES  # or it was no race
    assert all(expected < current <= won[-1] for expected, current in lost)
    state = await back_end.get(UID)
    assert state.revision_id == str(won[-1])
    assert by_category(state.tariffs) == {
        f"racer-{number}-{writer}": {"wins": WINS} for number in range(PROCESSES) for writer in range(WRITERS)
    }


@pytest.mark.parametrize("revision", ["0", "1"])
async def test_exactly_one_of_concurrent_calls_changes_a_revision(back_end: BackEnd, revision: str) -> None:
    if revision == "1":
        await back_end.update("0")
    outcomes = await asyncio.gather(
        *(back_end.update(revision, f"caller-{number}") for number in range(AT_ONCE)), return_exceptions=True
    )
    after = str(int(revision) + 1)
    (winner,) = [one for one in outcomes if not isinstance(one, BaseException)]
    assert winner == await back_end.get()
    assert winner.revision_id == after
    losers = [one for one in outcomes if isinstance(one, RevisionConflict)]
    assert [dict(one.metadata) for one in losers] == [{"current_revision_id": after}] * (AT_ONCE - 1)


@pytest.mark.parametrize("ending", ["commit", "rollback"])
async def test_an_update_waits_for_a_concurrent_transaction_and_depends_on_its_end(
    back_end: BackEnd, ending: str
) -> None:
    await back_end.update("0", "first")
    table = STATE_TABLES[back_end.name]
    raise_revision = {
        "user-state": "revision = revision + 1",
        "protocol": "document = document || jsonb_build_object('revision', '2')",
    }[back_end.name]
    async with await psycopg.AsyncConnection.connect(back_end.suite.database_url) as other:
        await other.execute(f"UPDATE {table} SET {raise_revision}".encode())
        update = asyncio.create_task(back_end.update("1", "second"))
        await until(lambda: waiting_for_locks(back_end.suite.database_url))
        await (other.commit() if ending == "commit" else other.rollback())
    if ending == "rollback":
        assert (await update).revision_id == "2"
    else:
        with pytest.raises(RevisionConflict) as raised:
            await update
        assert dict(raised.value.metadata) == {"current_revision_id": "2"}
