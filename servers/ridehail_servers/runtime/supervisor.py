"""Starts processes, starts them again when they die, and stops them."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from ridehail_servers.chassis.background import keep_running
from ridehail_servers.chassis.build import instance_id, service_name, version
from ridehail_servers.chassis.logs import LogFile, get_logger
from ridehail_servers.chassis.problems import Problems, lines_of
from ridehail_servers.chassis.settings import ProcessSettings

from . import metrics_files

logger = get_logger(__name__)

LOG_VARIABLE: Final = "RIDEHAIL_LOG_DESCRIPTOR"
"""Names the descriptor that a child's log goes to; standard error is for what others in the process print."""

_START_S = 60.0
_STOP_S = 60.0
_FIRST_PAUSE_S = 0.2
_MAX_PAUSE_S = 10.0
# A process that ran this long before it died is started again without a pause.
_STEADY_S = 30.0


class StartFailed(Problems):
    """A process did not come up; each line says why."""


class ChildSpec(BaseModel):
    """What one of our own processes runs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Literal["serve", "work"]
    settings: ProcessSettings


@dataclass(slots=True)
class Process:
    """One supervised process.

    Attributes:
        name: Also the name of its log file.
        command: The command line.
        spec: Written to the standard input of one of our own processes, or None for a foreign program.
        log: File for its standard error, or None for ours.
        environment: Added to ours.
    """

    name: str
    command: Sequence[str]
    spec: ChildSpec | None
    log: Path | None
    environment: dict[str, str] = field(default_factory=dict)
    running: asyncio.subprocess.Process | None = None


def child(name: str, spec: ChildSpec, *, log: Path | None, environment: dict[str, str] | None = None) -> Process:
    """Returns one of our own processes, not yet started."""
    command = (sys.executable, "-m", "ridehail_servers.runtime.child", name)
    return Process(name, command, spec, log, environment or {})


class Supervisor:
    """Keeps processes running."""

    def __init__(self, *, started: Callable[[int], None] = lambda _pid: None) -> None:
        """Creates an empty supervisor; `started` gets the id of every process that is started."""
        self._started = started
        self._watchers: dict[asyncio.Task[None], Process] = {}
        self._stopping = False

    def pids(self) -> dict[str, int]:
        """Returns the ids of the processes that run, by their names, and of this one."""
        running = {it.name: it.running for it in tuple(self._watchers.values())}
        return {
            "supervisor": os.getpid(),
            **{name: it.pid for name, it in running.items() if it is not None and it.returncode is None},
        }

    async def start(self, process: Process) -> None:
        """Starts a process, waits until one of ours reports ready, and keeps it running from then on.

        Raises:
            StartFailed: It failed, or was not ready in time.
        """
        await self._launch(process)
        watcher = asyncio.create_task(keep_running(f"supervision of {process.name}", lambda: self._watch(process)))
        self._watchers[watcher] = process

    async def stop(self, *names: str) -> None:
        """Stops the named processes, or all of them, and waits for their end."""
        if not names:
            self._stopping = True
        chosen = {watch: it for watch, it in self._watchers.items() if not names or it.name in names}
        for watcher in chosen:
            watcher.cancel()
            del self._watchers[watcher]
        await asyncio.gather(*chosen, return_exceptions=True)
        await asyncio.gather(*(_end(process) for process in chosen.values()))

    async def _watch(self, process: Process) -> None:
        pause = _FIRST_PAUSE_S
        loop = asyncio.get_running_loop()
        while True:
            assert process.running is not None
            began = loop.time()
            code = await process.running.wait()
            logger.error("process died", process=process.name, exit_code=code, **_cause(code, process))
            if folder := process.environment.get(metrics_files.VARIABLE):
                metrics_files.give_back(Path(folder), process.running.pid)
            if loop.time() - began > _STEADY_S:
                pause = _FIRST_PAUSE_S
            while True:
                await asyncio.sleep(pause)
                pause = min(pause * 2, _MAX_PAUSE_S)
                try:
                    await self._launch(process)
                    break
                except StartFailed as error:
                    logger.error("process not restarted", process=process.name, reason=str(error))

    async def _launch(self, process: Process) -> None:
        try:
            process.running = await _spawn(process)
        except OSError as error:  # a full disk or table of processes, which passes
            raise StartFailed(f"{process.name}: {error.strerror or error}") from error
        try:
            self._started(process.running.pid)
        except OSError as error:
            logger.error("process not noted", process=process.name, reason=error.strerror or str(error))
        if process.spec:
            try:
                await asyncio.wait_for(_hand_over(process.running, process.spec), _START_S)
            except (StartFailed, TimeoutError) as error:
                await _end(process)
                reasons = lines_of(error) if str(error) else [f"not ready within {_START_S:.0f} s"]
                hint = f" (see {process.log})" if process.log else ""
                raise StartFailed(*(f"{process.name}: {reason}{hint}" for reason in reasons)) from error


async def _spawn(process: Process) -> asyncio.subprocess.Process:
    log = _open_log(process)
    printed, print_to = os.pipe()
    try:
        running = await asyncio.create_subprocess_exec(
            *process.command,
            stdin=asyncio.subprocess.PIPE if process.spec else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE if process.spec else print_to,
            stderr=print_to,
            pass_fds=(log,),
            env={**os.environ, **process.environment, LOG_VARIABLE: str(log)},
            # Ctrl-C on the terminal must reach us alone; we stop the others in order.
            start_new_session=True,
        )
    except BaseException:
        os.close(log)
        os.close(printed)
        raise
    finally:
        os.close(print_to)
    # In a thread, so that nothing that a dying process prints is lost while the event loop is busy.
    service = service_name(process.spec.settings.services) if process.spec else process.name
    origin = {
        "service.name": service,
        "service.version": version(),
        "service.instance.id": instance_id(process.name, running.pid),
    }
    threading.Thread(target=log_printed, args=(origin, printed, log), daemon=True).start()
    return running


def _open_log(process: Process) -> int:
    if process.log is None:
        return os.dup(sys.stderr.fileno())
    return os.open(process.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def log_printed(origin: Mapping[str, str], printed: int, log: int) -> None:
    """Turns what a process prints outside its log into log lines: native libraries and foreign programs print.

    Each line has the fields of `origin`. Closes both descriptors at the end.
    """
    file = LogFile(log)
    with os.fdopen(printed, "rb") as lines:
        for line in lines:
            text = line.decode("utf-8", "backslashreplace").strip()
            if text:
                entry = {"event": text, "level": "info", "logger": "printed", **origin}
                file.write(json.dumps({**entry, "timestamp": datetime.now(UTC).isoformat()}) + "\n")
    os.close(log)


def _cause(code: int, process: Process) -> dict[str, object]:
    """Returns possible causes of a process' end, as far as they can be seen from outside."""
    cause: dict[str, object] = {}
    if code < 0:
        cause["signal"] = signal.Signals(-code).name
    folders = {str(process.log.parent)} if process.log else set()
    folders |= {folder for folder in (process.environment.get(metrics_files.VARIABLE),) if folder}
    # A write through mapped memory on a full disk raises SIGBUS, which by itself does not name its cause.
    if full := sorted(folder for folder in folders if Path(folder).is_dir() and not shutil.disk_usage(folder).free):
        cause["disk_full"] = full
    return cause


async def _hand_over(running: asyncio.subprocess.Process, spec: ChildSpec) -> None:
    assert running.stdin is not None
    assert running.stdout is not None
    with suppress(ConnectionError):  # it ended already; its output says why
        running.stdin.write(spec.model_dump_json().encode() + b"\n")
        await running.stdin.drain()
    line = (await running.stdout.readline()).decode().strip()
    if not line.startswith("ready"):
        raise StartFailed(*json.loads(line.removeprefix("error ") or '["ended without a word"]'))


async def _end(process: Process) -> None:
    running = process.running
    if running is None or running.returncode is not None:
        return
    with suppress(ProcessLookupError):
        running.terminate()
    try:
        await asyncio.wait_for(running.wait(), _STOP_S)
    except TimeoutError:
        logger.error("process killed", process=process.name)
        with suppress(ProcessLookupError):
            running.kill()
        await running.wait()
