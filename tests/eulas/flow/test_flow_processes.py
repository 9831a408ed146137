"""Apps in processes of their own, which share a file and are killed."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from google.protobuf.message import Message

from ridehail_clients import EulaDecision, EulasFlow, EulaState, PassengerEulasClient, RetryPolicy
from tests.clients.flavours import BLOCKING
from tests.clients.scripted_server import ScriptedServer
from tests.eulas.flow.app_process import app_process
from tests.eulas.flow.scripted_eulas import OUTAGE, ScriptedEulas
from tests.support.waiting import LIMIT_S

pytestmark = pytest.mark.integration

KILLS = 8
DECISIONS = 40


def _refuse(_seconds: float) -> None:
    raise AssertionError("it has to wait")


def save_all(server: ScriptedServer, file: Path) -> None:
    """Saves the pending decisions, by an app that never has to wait."""
    client = PassengerEulasClient(BLOCKING.in_memory(server), session_token="anna")
    flow = EulasFlow(client, file, account="anna", clock=lambda: time.time() + 1e6, sleep=_refuse)
    assert flow.save_kept().unsaved == ()


@dataclass
class Watch:
    """Signals when a call arrives, and may hold it."""

    service: ScriptedEulas
    left: int = 0
    holds: bool = False
    arrived: threading.Event = field(default_factory=threading.Event)
    let_go: threading.Event = field(default_factory=threading.Event)

    def set(self, calls: int, *, holds: bool) -> None:
        self.left, self.holds = calls, holds
        self.arrived.clear()
        self.let_go.clear()

    def __call__(self, request: Message, context: grpc.ServicerContext) -> Message:
        self.left -= 1
        if self.left == 0:
            self.arrived.set()
            if self.holds:
                self.let_go.wait(LIMIT_S)
        return self.service(request, context)


@pytest.mark.timeout(170)
def test_no_kill_loses_a_decision(served: ScriptedServer, service: ScriptedEulas, file: Path) -> None:
    """Every third save fails, so that at a kill some decisions are pending, some under way, and some saved."""
    chance = random.Random(752)
    service.before_saving.extend([None, None, OUTAGE] * 1000)
    served.behaviour = watch = Watch(service)
    given: set[str] = set()
    for run in range(KILLS):
        watch.set(chance.randrange(1, DECISIONS), holds=run % 2 == 0)
        with app_process(served.target, file, name=f"run{run}", decisions=DECISIONS) as app:
            assert watch.arrived.wait(LIMIT_S)
            if not watch.holds:
                time.sleep(chance.uniform(0.0, 0.02))
            app.kill()
            watch.let_go.set()
            given |= set(app.reported())

    served.behaviour = service
    service.before_saving.clear()
    save_all(served, file)

    assert given
    assert given <= set(service.decisions["anna"])


def test_processes_that_save_the_same_decisions_concurrently_save_each_once(
    served: ScriptedServer, service: ScriptedEulas, file: Path
) -> None:
    service.before_saving.append(OUTAGE)
    client = PassengerEulasClient(BLOCKING.in_memory(served), session_token="anna", retry=RetryPolicy(attempts=1))
    ids = [f"agreement-{number}" for number in range(250)]
    EulasFlow(client, file, account="anna").answer([EulaDecision(one, EulaState.ACCEPTED) for one in ids])
    assert service.arrived == []

    apps = [app_process(served.target, file, name="", decisions=None) for _ in range(3)]
    with apps[0] as first, apps[1] as second, apps[2] as third:
        reports = [" ".join(app.reported()).split() for app in (first, second, third)]

    assert sum(int(saved) for saved, _ in reports) == 250
    assert {unsaved for _, unsaved in reports} == {"0"}
    assert Counter(eula_id for _, eula_id, _ in service.arrived) == dict.fromkeys(ids, 1)


@pytest.mark.timeout(170)
def test_processes_that_decide_concurrently_lose_nothing(
    served: ScriptedServer, service: ScriptedEulas, file: Path
) -> None:
    service.before_saving.extend([None, OUTAGE] * 1000)
    with (
        app_process(served.target, file, name="a", decisions=DECISIONS) as first,
        app_process(served.target, file, name="b", decisions=DECISIONS) as second,
    ):
        reported = first.reported() + second.reported()
    service.before_saving.clear()
    save_all(served, file)

    given = [f"{name}-{number}" for name in "ab" for number in range(DECISIONS)]
    assert sorted(reported) == sorted(given)
    assert Counter(eula_id for _, eula_id, _ in service.arrived) == dict.fromkeys(given, 1)


def test_the_lock_of_an_app_killed_while_it_sent_is_free_at_once(
    served: ScriptedServer, service: ScriptedEulas, file: Path
) -> None:
    served.behaviour = None
    served.script(served.hang)
    with app_process(served.target, file, name="hanging", decisions=1) as app:
        assert served.first_received.wait(LIMIT_S)
        app.kill()
    served.behaviour = service

    # It fails if it has to wait.
    save_all(served, file)

    assert service.arrived == [("anna", "hanging-0", "accepted")]
