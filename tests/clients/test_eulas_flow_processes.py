"""Apps in processes of their own, which share a file and are killed."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ridehail_clients import EulaDecision, EulasFlow, EulaState, PassengerEulasClient, RetryPolicy
from tests.clients import answering_app
from tests.clients.eulas_by_script import OUTAGE, ScriptedEulas
from tests.clients.scripted_server import ScriptedServer

KILLS = 12
AGREEMENTS = 40


@contextmanager
def app_process(server: ScriptedServer, file: Path, name: str, work: str) -> Iterator[subprocess.Popen[str]]:
    """An app that is ready; killed with the block if it is still there."""
    command = [sys.executable, answering_app.__file__, server.target, str(file), name, str(AGREEMENTS), work]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def printed(process: subprocess.Popen[str]) -> list[str]:
    """What the ended process printed; a last line that the kill cut short does not count."""
    assert process.stdout is not None
    return [line.strip() for line in process.stdout if line.endswith("\n")]


def save_all(server: ScriptedServer, file: Path) -> None:
    with PassengerEulasClient(server.target, session_token="anna", attempt_timeout=30) as client:
        assert (
            EulasFlow(client, file, account="anna", retry=RetryPolicy(initial_backoff_s=0.01)).save_kept().unsaved == ()
        )


@pytest.mark.timeout(170)
def test_no_kill_loses_an_answer_that_was_given(server: ScriptedServer, service: ScriptedEulas, tmp_path: Path) -> None:
    """Every third save fails, so that at the moment of a kill answers are kept, on their way, and saved."""
    file, moments = tmp_path / "answers", random.Random(752)
    service.before_saving.extend([None, None, OUTAGE] * 1000)
    given: set[str] = set()
    killed_at_work = 0
    for run in range(KILLS):
        with app_process(server, file, f"run{run}", "answer") as process:
            time.sleep(moments.uniform(0.0, 0.5))
            killed_at_work += process.poll() is None
            process.kill()
            process.wait()
            given |= set(printed(process))

    service.before_saving.clear()
    save_all(server, file)

    assert given
    assert killed_at_work > KILLS / 2
    assert given <= set(service.decisions["anna"])


def test_processes_that_save_the_same_answers_at_the_same_time_save_each_once(
    server: ScriptedServer, service: ScriptedEulas, tmp_path: Path
) -> None:
    file = tmp_path / "answers"
    service.before_saving.append(OUTAGE)
    with PassengerEulasClient(server.target, session_token="anna", retry=RetryPolicy(attempts=1)) as client:
        flow = EulasFlow(client, file, account="anna")
        ids = [f"agreement-{number}" for number in range(250)]
        flow.answer([EulaDecision(one, EulaState.ACCEPTED) for one in ids])
        assert service.arrived == []

    processes = [app_process(server, file, "", "save_kept") for _ in range(3)]
    with processes[0] as first, processes[1] as second, processes[2] as third:
        reports = [" ".join(printed(process)).split() for process in (first, second, third)]

    assert sum(int(saved) for saved, _ in reports) == 250
    assert {unsaved for _, unsaved in reports} == {"0"}
    assert Counter(eula_id for _, eula_id, _ in service.arrived) == dict.fromkeys(ids, 1)


@pytest.mark.timeout(170)
def test_processes_that_answer_at_the_same_time_lose_nothing(
    server: ScriptedServer, service: ScriptedEulas, tmp_path: Path
) -> None:
    file = tmp_path / "answers"
    service.before_saving.extend([None, OUTAGE] * 1000)
    with app_process(server, file, "a", "answer") as first, app_process(server, file, "b", "answer") as second:
        outputs = [printed(process) for process in (first, second)]
    service.before_saving.clear()
    save_all(server, file)

    given = [f"{name}-{number}" for name in "ab" for number in range(AGREEMENTS)]
    assert sorted(outputs[0] + outputs[1]) == sorted(given)
    assert Counter(eula_id for _, eula_id, _ in service.arrived) == dict.fromkeys(given, 1)


def test_the_lock_of_an_app_that_was_killed_while_it_sent_is_free_at_once(
    server: ScriptedServer, service: ScriptedEulas, tmp_path: Path
) -> None:
    file = tmp_path / "answers"
    server.behaviour = None
    server.script(server.hang)
    with app_process(server, file, "hanging", "answer") as process:
        assert server.first_received.wait(30)
        process.kill()
        process.wait()
    server.behaviour = service

    begun = time.monotonic()
    save_all(server, file)

    assert time.monotonic() - begun < 3
    assert service.arrived == [("anna", "hanging-0", "accepted")]
