"""An app in a process of its own: makes decisions one by one, or saves the pending ones."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from ridehail_clients import EulaDecision, EulasFlow, EulaState, PassengerEulasClient, RetryPolicy
from tests.support.waiting import LIMIT_S

_READY = "ready"


@dataclass(frozen=True)
class AppProcess:
    """A process that may be killed at any time."""

    process: BaseProcess
    output: Connection

    def kill(self) -> None:
        """Kills it, and waits for its end."""
        self.process.kill()
        self.process.join()

    def reported(self) -> list[str]:
        """Waits for the end; returns the lines it sent, but for a last one that a kill cut short."""
        lines = []
        with suppress(EOFError, OSError):
            while True:
                lines.append(str(self.output.recv()))
        return lines


@contextmanager
def app_process(target: str, file: Path, *, name: str, decisions: int | None) -> Iterator[AppProcess]:
    """Runs an app that is ready; killed with the block if it is still there.

    Args:
        target: Where eulas is.
        file: Of the flow.
        name: Of its agreements.
        decisions: How many it makes, reporting each that the flow has accepted; without, it saves the pending ones and
            reports how many are saved and unsaved.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    output, sender = context.Pipe(duplex=False)
    process = context.Process(target=_main, args=(target, str(file), name, decisions, sender))
    process.start()
    sender.close()
    app = AppProcess(process, output)
    try:
        assert output.poll(LIMIT_S)
        assert output.recv() == _READY
        yield app
    finally:
        app.kill()


def _main(target: str, file: str, name: str, decisions: int | None, output: Connection) -> None:
    with PassengerEulasClient(
        target, session_token="anna", retry=RetryPolicy(attempts=1), attempt_timeout=LIMIT_S
    ) as client:
        quickly = RetryPolicy(attempts=100, initial_backoff_s=0.01, max_backoff_s=0.01)
        flow = EulasFlow(client, file, account="anna", retry=quickly)
        output.send(_READY)
        if decisions is None:
            report = flow.save_kept()
            output.send(f"{len(report.saved)} {len(report.unsaved)}")
            return
        for number in range(decisions):
            flow.answer([EulaDecision(f"{name}-{number}", EulaState.ACCEPTED)])
            output.send(f"{name}-{number}")
