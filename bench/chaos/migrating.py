"""Migrations are killed at each of their steps and run again: the schemas end as if nothing had happened."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import psycopg
from psycopg import conninfo

from .postgres import Postgres
from .report import ChaosReport, Effort
from .stack import RIDEHAIL

PART = "migrating"

_STEP_S = 60.0
_MAX_STEPS = 200
# Of each dump anew.
_RANDOM = re.compile(r"^\\(un)?restrict .*$", re.MULTILINE)


def _database(postgres: Postgres, name: str) -> str:
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return conninfo.make_conninfo(postgres.url, dbname=name)


def _migrate(url: str) -> None:
    subprocess.run([RIDEHAIL, "migrate", "--database-url", url], check=True, capture_output=True, timeout=_STEP_S)


def _kills(url: str, when: str, limit: int) -> int:
    """Migrates with a kill at each step; returns the number of kills."""
    command = [sys.executable, "-m", "bench.chaos.killed_migrator", url, when]
    for kills in range(limit):
        ended = subprocess.run(command, check=False, capture_output=True, timeout=_STEP_S)
        if ended.returncode == 0:
            return kills
        if ended.returncode != -signal.SIGKILL:
            raise RuntimeError(ended.stderr.decode()[-500:])
        if when == "inside":  # its work is rolled back, so another run has to do this step
            _one_more(url)
    return limit


def _one_more(url: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "bench.chaos.killed_migrator", url, "after"],
        check=False,
        capture_output=True,
        timeout=_STEP_S,
    )


async def run(report: ChaosReport, folder: Path, effort: Effort) -> None:
    with ExitStack() as stack:
        postgres = Postgres(folder / "postgres")
        stack.callback(postgres.stop)
        await asyncio.to_thread(postgres.start_with_schemas)
        wanted = await asyncio.to_thread(_schema_of, postgres, postgres.url)
        for when in ("inside", "after"):
            url = _database(postgres, f"killed_{when}")
            kills = await asyncio.to_thread(_kills, url, when, 5 if effort.quick else _MAX_STEPS)
            await asyncio.to_thread(_migrate, url)
            same = await asyncio.to_thread(_schema_of, postgres, url) == wanted
            report.add(
                PART,
                f"killed {when} the transaction of each step",
                {"kills": kills, "schema": "the same" if same else "different"},
                promise="the next run ends with the same schema",
                kept=same and kills > 0,
            )


def _schema_of(postgres: Postgres, url: str) -> str:
    return _RANDOM.sub("", postgres.dump_schema(url))
