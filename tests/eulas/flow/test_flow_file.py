"""The file of the flow: permissions, damage, and the lock for sending."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import threading
import time as real_time
from pathlib import Path

import grpc
import pytest
from google.protobuf.message import Message

from ridehail_clients import EulaDecision, EulaState
from tests.clients.flavours import ASYNCIO, Flavour
from tests.clients.scripted_server import ScriptedServer
from tests.eulas.flow.scripted_eulas import OUTAGE, App, FakeTime, ScriptedEulas, Start, running_app
from tests.support.waiting import LIMIT_S

ACCEPTED, REJECTED = EulaState.ACCEPTED, EulaState.REJECTED
ACCEPT_SURGE, REJECT_SURGE = EulaDecision("surge", ACCEPTED), EulaDecision("surge", REJECTED)


async def test_the_files_are_private_and_name_no_account(start: Start, file: Path, service: ScriptedEulas) -> None:
    file.touch(0o644)
    async with start(account="account-of-anna") as app:
        await app("answer", [ACCEPT_SURGE])

    files = list(file.parent.iterdir())
    assert {one.name for one in files} == {"outbox.sqlite", "outbox.sqlite.lock"}
    assert {stat.S_IMODE(one.stat().st_mode) for one in files} == {0o600}
    assert all(b"account-of-anna" not in one.read_bytes() for one in files)


@pytest.mark.integration
async def test_a_decision_replaced_while_it_is_sent_does_not_remove_the_newer_one(
    start: Start, flavour: Flavour, served: ScriptedServer, service: ScriptedEulas
) -> None:
    """The second decision waits for the first to be sent, also in another instance."""
    may_go_on = threading.Event()

    def hold_the_first(request: Message, context: grpc.ServicerContext) -> Message:
        if len(served.received) == 1:
            may_go_on.wait(LIMIT_S)
        return service(request, context)

    # The second one waits for its turn.
    def sleep(_seconds: float) -> None:
        may_go_on.set()
        real_time.sleep(0.2)

    async def async_sleep(_seconds: float) -> None:
        may_go_on.set()
        await asyncio.sleep(0.2)

    served.behaviour = hold_the_first
    async with (
        start(target=served.target) as first,
        start(target=served.target, sleep=async_sleep if flavour is ASYNCIO else sleep) as second,
    ):
        sending = asyncio.create_task(first("answer", [ACCEPT_SURGE]))
        assert await asyncio.to_thread(served.first_received.wait, LIMIT_S)
        report = await second("answer", [REJECT_SURGE])
        await sending

    assert report.saved == (REJECT_SURGE,)
    assert service.arrived == [("anna", "surge", "accepted"), ("anna", "surge", "rejected")]


GARBAGE = b"this is no database " * 500


@pytest.mark.parametrize("damage", ["no database", "torn"])
async def test_an_unreadable_file_is_set_aside(start: Start, file: Path, service: ScriptedEulas, damage: str) -> None:
    if damage == "torn":
        service.before_saving.append(OUTAGE)
        async with start() as app:
            await app("answer", [EulaDecision(f"agreement-{number}", ACCEPTED) for number in range(500)])
        whole = file.read_bytes()
        file.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    else:
        file.write_bytes(GARBAGE)
    damaged = file.read_bytes()

    async with start() as app:
        report = await app("answer", [ACCEPT_SURGE])

    assert report.saved == (ACCEPT_SURGE,)
    assert file.with_name("outbox.sqlite.damaged").read_bytes() == damaged


async def test_a_file_removed_under_a_running_app_is_created_again(
    app: App, service: ScriptedEulas, file: Path
) -> None:
    await app("answer", [ACCEPT_SURGE])
    file.unlink()

    assert (await app("answer", [REJECT_SURGE])).saved == (REJECT_SURGE,)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_a_flow_cannot_be_created_without_the_folder_of_its_file(start: Start, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        async with start(file=tmp_path / "missing" / "file"):
            pass


async def test_a_decision_that_cannot_be_stored_is_not_sent(
    app: App, service: ScriptedEulas, server: ScriptedServer, file: Path
) -> None:
    with sqlite3.connect(file) as other:
        other.execute("DROP TABLE answers")
        other.execute("CREATE VIEW answers AS SELECT 1")

    with pytest.raises(sqlite3.Error):
        await app("answer", [ACCEPT_SURGE])

    assert server.received == []


async def test_an_app_cancelled_while_it_sends_releases_the_lock(
    server: ScriptedServer, file: Path, time: FakeTime, service: ScriptedEulas
) -> None:
    hangs = [True]
    channel = ASYNCIO.in_memory(server, latency=lambda _request: 1000.0 if hangs[0] else 0.0)
    server.behaviour = None
    async with running_app(ASYNCIO, server, target=channel, file=file, time=time) as app:
        sending = asyncio.create_task(app("answer", [ACCEPT_SURGE]))
        while not server.received:
            await asyncio.sleep(0.005)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        hangs[0], server.behaviour = False, service

        assert (await app("save_kept")).saved == (ACCEPT_SURGE,)
    assert time.slept == []
