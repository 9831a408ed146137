"""Services in a process of their own that a test may kill, forked from one that has imported everything."""

from __future__ import annotations

import asyncio
from multiprocessing.process import BaseProcess
from pathlib import Path

from ridehail_servers.chassis import logs
from tests.support.fork_server import fork_server
from tests.support.suite_in_process import suite_in_process
from tests.support.waiting import LIMIT_S


def serve(service: str, *, port: int, database_url: str, keys_dir: Path, config_dir: Path) -> BaseProcess:
    """Starts a process that serves; the caller waits until it accepts calls, and kills it."""
    arguments = (service, port, database_url, keys_dir, config_dir)
    process = fork_server().Process(target=_main, args=arguments, daemon=True)
    process.start()
    return process


def kill(process: BaseProcess) -> None:
    """Kills the process if it still runs; returns once it is gone."""
    process.kill()
    process.join(LIMIT_S)
    assert process.exitcode is not None


def _main(service: str, port: int, database_url: str, keys_dir: Path, config_dir: Path) -> None:
    logs.configure(service="served")
    asyncio.run(_serve(service, port, database_url, keys_dir, config_dir))


async def _serve(service: str, port: int, database_url: str, keys_dir: Path, config_dir: Path) -> None:
    running = suite_in_process(
        database_url=database_url, keys_dir=keys_dir, config_dir=config_dir, services=[service], port=port
    )
    async with running:
        await asyncio.Event().wait()
