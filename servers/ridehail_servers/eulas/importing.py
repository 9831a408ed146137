"""Imports decisions that another database kept.

The file is read in chunks of so many lines, each stored and logged in one transaction. A line is imported if it is
newer than all that is known of its user and its agreement; of equally new lines the first is. So a second run finds
nothing newer, and as chunks begin at the same lines in every run, one after a run that was killed goes on where that
one ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import psycopg

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Database

from .decision import Decision, Status
from .eula_catalogue import EulaCatalogue
from .import_file import Dump, Rejects
from .import_lines import BadLine, DumpLine, parse
from .import_store import ImportStore

CHUNK = 5_000
"""Lines of one transaction. Whoever saves an answer that is being imported waits for the end of it."""

# Of agreements that are not configured.
_FIRST_REVISION = 1

_Decisions = dict[tuple[str, str], Decision]


class ImportFailed(Exception):
    """The database refuses what was read; the message says which lines, and quotes nothing of them."""


@dataclass(slots=True)
class Imported:
    """What became of the lines so far.

    Attributes:
        lines: How many there were, blank ones aside.
        imported: How many made a decision that was not known.
        rejected: How many were no decisions.
    """

    lines: int = 0
    imported: int = 0
    rejected: int = 0

    @property
    def passed_over(self) -> int:
        """How many were not newer than what was known, or than another line of their chunk."""
        return self.lines - self.imported - self.rejected


Report = Callable[[Imported], None]
"""Told what became of the lines so far, after each transaction."""


class Import:
    """The job that imports a file."""

    def __init__(
        self,
        database: Database,
        store: ImportStore,
        catalogue: EulaCatalogue,
        clock: Clock,
        *,
        chunk: int = CHUNK,
    ) -> None:
        """Takes what it needs.

        Args:
            database: Of eulas.
            store: Its SQL.
            catalogue: Tells which revision decisions are taken to be on, since dumps do not.
            clock: Tells the time.
            chunk: Lines of one transaction, at least 1.
        """
        self._database = database
        self._store = store
        self._catalogue = catalogue
        self._clock = clock
        self._chunk = chunk

    async def run(self, dump: Dump, rejects: Rejects, report: Report) -> Imported:
        """Imports the lines that are decisions, and newer than what is known.

        Args:
            dump: The lines.
            rejects: Takes those that are no decisions.
            report: Told of every chunk.

        Raises:
            DatabaseUnavailable: The database failed. What was reported is stored.
            FileUnusable: See `Dump.lines`.
            ImportFailed: See the class.
        """
        done = Imported()
        lines = enumerate(dump.lines(), start=1)
        while chunk := list(islice(lines, self._chunk)):
            decisions = _newest(self._decisions(chunk, rejects, done))
            done.imported += await self._save(decisions, chunk[0][0], chunk[-1][0])
            report(done)
        return done

    def _decisions(
        self, chunk: Iterable[tuple[int, bytes]], rejects: Rejects, done: Imported
    ) -> Iterator[tuple[tuple[str, str], Decision]]:
        now = self._clock()
        for number, text in chunk:
            if text.isspace():
                continue
            done.lines += 1
            try:
                line = parse(text, now)
            except BadLine as error:
                done.rejected += 1
                rejects.add(number, str(error), text)
            else:
                yield (line.yandex_uid, line.eula_id), self._decision(line)

    def _decision(self, line: DumpLine) -> Decision:
        eula = self._catalogue.get(line.eula_id)
        revision = _FIRST_REVISION if eula is None else eula.revision
        return Decision(line.eula_id, Status(line.status), revision, line.valid_till, line.updated_at)

    async def _save(self, decisions: _Decisions, first_line: int, last_line: int) -> int:
        if not decisions:
            return 0
        try:
            async with self._database.transaction() as connection:
                return await self._store.save_newer(connection, decisions)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            # The error's own text has the values in it.
            reason = f"Postgres refuses lines {first_line} to {last_line}: {type(error).__name__}"
            raise ImportFailed(reason) from None


def _newest(decisions: Iterable[tuple[tuple[str, str], Decision]]) -> _Decisions:
    newest: _Decisions = {}
    for key, decision in decisions:
        known = newest.get(key)
        if known is None or decision.updated_at > known.updated_at:
            newest[key] = decision
    return newest
