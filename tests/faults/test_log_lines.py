"""The log: every line is JSON, whoever wrote it; nothing that a caller sent is in it; a full disk fails no call."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ridehail_servers.chassis import logs
from ridehail_servers.chassis.interceptors import telemetry
from ridehail_servers.chassis.logs import LogFile, safe_exception_text
from ridehail_servers.runtime import metrics_files
from ridehail_servers.runtime.supervisor import Process, Supervisor, log_printed
from tests.support import virtual_time
from tests.support.log_capture import LogCapture, captured_logs
from tests.support.waiting import until

SECRET = "eyJhbGciOiJFZERTQSJ9.canary"


@pytest.fixture
def log() -> Iterator[LogCapture]:
    with captured_logs() as capture:
        yield capture


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# --- what others say through Python's logging


def test_what_grpc_says_of_a_header_that_it_cannot_decode_is_not_in_the_log(log: LogCapture) -> None:
    for name in ("grpc", "grpc._cython.cygrpc", "grpc.aio._server", "grpc._server"):
        try:
            (SECRET.encode() + b"\xff").decode()
        except UnicodeDecodeError:
            logging.getLogger(name).exception("Failed to decode metadata: %r", SECRET)
        logging.getLogger(name).error(f"Invalid value {SECRET}")  # noqa: G004 - as it comes from elsewhere
    assert SECRET not in log.text
    assert len(log.lines) == 8
    assert {line["event"].partition(" in ")[0] for line in log.lines} == {"gRPC reports a failure"}


async def test_what_asyncio_says_of_a_callback_repeats_no_argument(log: LogCapture) -> None:
    def fail(_secret: str) -> None:
        raise KeyError(SECRET)

    asyncio.get_running_loop().call_soon(fail, SECRET)
    asyncio.get_running_loop().call_exception_handler({"message": f"odd\n{SECRET}", "future": SECRET})
    await until(lambda: len(log.lines) >= 2)
    assert SECRET not in log.text
    assert "test_log_lines.py" in log.text


@pytest.mark.parametrize("error", [ValueError(SECRET), KeyError(SECRET), json.JSONDecodeError(SECRET, SECRET, 0)])
def test_an_error_that_quotes_what_it_was_given_is_logged_by_its_kind(error: Exception) -> None:
    text = safe_exception_text(error)
    assert SECRET not in text
    assert type(error).__name__ in text


# --- what Python would print

PRINTS = """
import asyncio, os, sys, threading, warnings, gc
from ridehail_servers.chassis import logs
logs.configure(service="child", stream=logs.LogFile(int(sys.argv[1])))
logs.take_over_process()
warnings.warn("beware")
thread = threading.Thread(target=lambda: 1 / 0); thread.start(); thread.join()
class Odd:
    def __del__(self): raise RuntimeError("too late")
del [Odd()][0]
gc.collect()
import logging
logging.getLogger("x").warning("%d", "no number")
os.write(2, b"E0000 native\\xff words\\n\\nhalf a line")
raise RuntimeError("the end")
"""


@pytest.mark.integration
def test_every_line_is_json_whoever_prints(tmp_path: Path) -> None:
    file = tmp_path / "child.log"
    log = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    read, write = os.pipe()
    reader = threading.Thread(target=log_printed, args=({"service.name": "child"}, read, os.dup(log)))
    reader.start()
    ended = subprocess.run([sys.executable, "-c", PRINTS, str(log)], stderr=write, pass_fds=(log,), check=False)
    os.close(write)
    reader.join()
    os.close(log)
    assert ended.returncode == 1
    lines = lines_of(file.read_text())
    assert all({"event", "level", "timestamp", "service.name"} <= line.keys() for line in lines)
    told = " | ".join(str(line["event"]) for line in lines)
    for words in ("beware", "uncaught exception in a thread", "exception ignored", "uncaught exception"):
        assert words in told
    assert "E0000 native\\xff words" in told
    assert "half a line" in told
    assert "the end" in file.read_text()
    assert "Traceback (most recent call last)" not in [line["event"] for line in lines]


@pytest.mark.integration
async def test_a_supervised_program_prints_into_its_log_as_json_that_only_its_owner_reads(tmp_path: Path) -> None:
    file = tmp_path / "part.log"
    supervisor = Supervisor()
    words = "echo out; echo err >&2; exec sleep 60"
    await supervisor.start(Process("part", ("/bin/sh", "-c", words), None, file))
    try:
        await until(lambda: file.read_text().count("\n") == 2)
    finally:
        await supervisor.stop()
    assert [(line["event"], line["service.name"]) for line in lines_of(file.read_text())] == [
        ("out", "part"),
        ("err", "part"),
    ]
    assert file.stat().st_mode & 0o777 == 0o600


# --- a full disk


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_fails_nothing_and_is_logged_once_there_is_room(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    full, whole = os.open("/dev/full", os.O_WRONLY), os.open(file, os.O_WRONLY | os.O_CREAT)
    descriptor = os.dup(full)
    try:
        logs.configure(service="test", stream=LogFile(descriptor))
        for number in range(3):
            logs.get_logger("here").error("lost", number=number)
        logging.getLogger("a library").error("lost as well")
        os.dup2(whole, descriptor)
        logs.get_logger("here").info("kept")
    finally:
        logs.configure(service="tests")
        for one in (full, whole, descriptor):
            os.close(one)
    first, second = lines_of(file.read_text())
    assert (first["event"], first["lines"], first["reason"]) == ("log lines lost", 4, os.strerror(errno.ENOSPC))
    assert second["event"] == "kept"


@pytest.mark.integration
async def test_a_process_that_dies_of_a_signal_is_logged_with_its_name(tmp_path: Path, log: LogCapture) -> None:
    supervisor = Supervisor()
    words = ("/bin/sh", "-c", "kill -BUS $$")
    await supervisor.start(Process("part", words, None, tmp_path / "part.log", {metrics_files.VARIABLE: str(tmp_path)}))
    try:
        await until(lambda: log.events("process died"))
    finally:
        await supervisor.stop()
    assert log.events("process died")[0]["signal"] == "SIGBUS"


def test_a_warning_is_no_print(log: LogCapture) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        try:
            warnings.warn("beware", stacklevel=1)
        finally:
            logging.captureWarnings(capture=False)
    assert "beware" in log.text


def test_refused_calls_are_logged_although_a_loop_with_others_ended_before_it_could(log: LogCapture) -> None:
    refusals = telemetry._Refusals()

    async def refuse(then_runs_s: float) -> None:
        refusals.note("a.B/C")
        await asyncio.sleep(then_runs_s)

    virtual_time.run(refuse(0))
    virtual_time.run(refuse(10))
    assert [line["calls"] for line in log.events("calls refused")] == [{"a.B/C": 2}]
