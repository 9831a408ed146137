"""Dumps of another database, and imports of them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from ridehail_servers.chassis.database import Database
from ridehail_servers.eulas.config import EulasConfig
from ridehail_servers.eulas.import_file import open_dump, open_rejects
from ridehail_servers.eulas.import_job import ImportCounts, ImportJob
from ridehail_servers.eulas.import_store import ImportStore
from tests.eulas.harness import DAY, EULAS, T0, ZONES, agreement
from tests.support.up import RIDEHAIL

CHUNK = 20
"""Lines of one transaction, in tests."""
CATALOGUE = EulasConfig.model_validate(
    {"ZONES": ZONES, "EULAS": [*EULAS, agreement("new", "new", revision=7)]}
).catalogue
STATE = """
    SELECT yandex_uid, eula_id, status::text, revision, valid_till, updated_at FROM eulas.users
    ORDER BY yandex_uid, eula_id
"""
LOG = """
    SELECT yandex_uid, eula_id, status::text, revision, valid_till, decided_at, source FROM eulas.decisions
    ORDER BY decision_id
"""
LAST_LOGGED = """
    SELECT DISTINCT ON (yandex_uid, eula_id) yandex_uid, eula_id, status::text, revision, valid_till, decided_at
    FROM eulas.decisions ORDER BY yandex_uid, eula_id, decision_id DESC
"""

Row = tuple[Any, ...]


def line(**fields: object) -> dict[str, object]:
    """Returns a line that is imported, with some fields of the caller's; ... leaves one out."""
    whole: dict[str, object] = {
        "yandex_uid": "4000000001",
        "eula_id": "surge_il",
        "status": "accepted",
        "updated_at": T0,
        "valid_till": T0 + DAY,
        **fields,
    }
    return {
        key: value.isoformat() if isinstance(value, datetime) else value
        for key, value in whole.items()
        if value is not ...
    }


def write(path: Path, lines: Iterable[Mapping[str, object] | bytes]) -> None:
    """Writes a dump."""
    path.write_bytes(b"".join(_written(one) + b"\n" for one in lines))


def _written(one: Mapping[str, object] | bytes) -> bytes:
    return one if isinstance(one, bytes) else json.dumps(one, ensure_ascii=False).encode()


def rows(database_url: str, query: str) -> list[Row]:
    with psycopg.connect(database_url, options="-c timezone=UTC") as connection:
        return connection.execute(query.encode()).fetchall()


def rejects_of(path: Path) -> list[dict[str, object]]:
    """Returns what was rejected of a dump."""
    rejects = rejects_path_of(path)
    return [json.loads(one) for one in rejects.read_text().split("\n") if one] if rejects.exists() else []


def rejects_path_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.rejects.jsonl")


@dataclass(frozen=True)
class Importer:
    """Imports files by a clock of its own."""

    database: Database
    folder: Path
    name: str = "dump.jsonl"

    async def run(self, *lines: Mapping[str, object] | bytes, now: datetime = T0) -> ImportCounts:
        """Writes and imports a dump."""
        write(self.path, lines)
        return await self.rerun(now=now)

    async def rerun(self, *, now: datetime = T0) -> ImportCounts:
        """Imports the dump again."""
        with open_dump(self.path) as dump, open_rejects(self.rejects_path) as rejects:
            job = ImportJob(self.database, ImportStore(), CATALOGUE, lambda: now, chunk=CHUNK)
            return await job.run(dump, rejects, lambda _: None)

    @property
    def path(self) -> Path:
        return self.folder / self.name

    @property
    def rejects_path(self) -> Path:
        return rejects_path_of(self.path)


def started(path: Path, database_url: str) -> subprocess.Popen[str]:
    """Starts an import as an operator would."""
    words = [str(RIDEHAIL), "eulas", "import", str(path), "--database-url", database_url]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
