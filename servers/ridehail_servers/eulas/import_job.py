"""Imports decisions from another database's dump.

Each chunk of lines is stored and logged in one transaction. A line is imported if it is newer than every known
decision of its user on its agreement; of equally new lines the first is. So a second run finds nothing newer, and as
chunks begin at the same lines in every run, a run after one that was killed continues where that one ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Database

from .decision import Decision, Status
from .eula_catalogue import EulaCatalogue
from .import_file import Dump, RejectsFile
from .import_lines import BadLine, DumpLine, parse
from .import_store import ImportStore, RowsRefused

CHUNK = 5_000
"""Lines of one transaction. A save of a decision that is being imported waits for the end of it."""

# Of agreements that are not configured.
_FIRST_REVISION = 1

_Decisions = dict[tuple[str, str], Decision]


class ImportFailed(Exception):
    """The database refused some lines; the message says which, and quotes nothing of them."""


@dataclass(slots=True)
class ImportCounts:
    """The number of lines so far.

    Attributes:
        lines: All but blank ones.
        imported: Those with a decision that was not known.
        rejected: Those that are no decisions.
    """

    lines: int = 0
    imported: int = 0
    rejected: int = 0

    @property
    def skipped(self) -> int:
        """Those not newer than what was known, or than another line of their chunk."""
        return self.lines - self.imported - self.rejected


class ImportJob:
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
        self._database = database
        self._store = store
        self._catalogue = catalogue  # for the revisions, which dumps do not have
        self._clock = clock
        self._chunk = chunk

    async def run(self, dump: Dump, rejects: RejectsFile, report: Callable[[ImportCounts], None]) -> ImportCounts:
        """Imports the lines that are decisions, and newer than what is known.

        Args:
            dump: The lines.
            rejects: Receives the lines that are no decisions.
            report: Called after each transaction.

        Raises:
            FileUnusable: See `Dump.lines`.
            ImportFailed: See the class.
        """
        done = ImportCounts()
        lines = enumerate(dump.lines(), start=1)
        while chunk := list(islice(lines, self._chunk)):
            decisions = _newest(self._decisions(chunk, rejects, done))
            done.imported += await self._save(decisions, chunk[0][0], chunk[-1][0])
            report(done)
        return done

    def _decisions(
        self, chunk: Iterable[tuple[int, bytes]], rejects: RejectsFile, done: ImportCounts
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
        except RowsRefused as refused:
            raise ImportFailed(f"Postgres refuses lines {first_line} to {last_line}: {refused}") from None


def _newest(decisions: Iterable[tuple[tuple[str, str], Decision]]) -> _Decisions:
    newest: _Decisions = {}
    for key, decision in decisions:
        known = newest.get(key)
        if known is None or decision.updated_at > known.updated_at:
            newest[key] = decision
    return newest
