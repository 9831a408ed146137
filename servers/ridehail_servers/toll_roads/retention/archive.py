"""What the jobs need of an archive, whatever keeps it: batches of rows, each once.

An archive has one table for each archived table, and remembers the number of the last batch in it. It writes a batch
and that number together or not at all, so a writer that looks the number up first writes each batch once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import ParamSpec, Protocol, TypeVar
from urllib.parse import urlsplit

from ridehail_servers.chassis.yt_url import SCHEME as YT

from .rows import ArchivedTable, Row

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


class ArchiveFailed(OSError):
    """The archive cannot be read or written; the message says which and why."""


class ArchiveAhead(Exception):
    """The archive has later batches than the one to be written, so it may have that one or not."""


class ArchiveTable(Protocol):
    """One table of an archive.

    Its methods block, but for `interrupt`, and are called by one thread at a time. Each raises `ArchiveFailed` if the
    archive cannot be read or written.
    """

    def last_batch(self) -> int:
        """Returns the number of the last batch, or 0 if there is none. Creates the table if necessary."""

    def write(self, batch: int, rows: Sequence[Row]) -> None:
        """Writes a batch durably, unless it is there already; the batches before it are written and marked as such.

        Raises:
            ArchiveAhead: See the class; nothing was written.
            ArchiveFailed: The batch may have been written all the same, which a repeat detects.
        """

    def tidy(self) -> None:
        """Merges small pieces that batches left, and removes what is obsolete.

        Safe beside readers and writers, and if killed at any time.
        """

    def rows_of(self, order_id: str) -> list[Row]:
        """Returns the rows of an order by `created_at`, some perhaps twice; none if there is no archive yet."""

    def interrupt(self) -> None:
        """Has the method that runs end soon, and every later one at once, if the archive is one that may hang."""

    def erase(self, order_ids: Collection[str]) -> None:
        """Removes the rows of orders, and the files that have held them; nothing happens without any.

        Safe beside readers, and if killed at any time: a repeat does the rest.
        """


def open_archive_table(url: str, name: ArchivedTable) -> ArchiveTable:
    """Returns a table of the archive at a URL, for which see `chassis.folder_url`.

    Raises:
        ExtraMissing: What it takes is not installed.
    """
    if urlsplit(url).scheme == YT:
        from .yt_archive import YtArchiveTable  # noqa: PLC0415 - loads an extra

        return YtArchiveTable(url, name)
    from .delta_archive import DeltaArchiveTable  # noqa: PLC0415 - loads a large library

    return DeltaArchiveTable(url, name)


async def in_thread(
    archive: ArchiveTable,
    work: Callable[_Parameters, _Result],
    *arguments: _Parameters.args,
    **named: _Parameters.kwargs,
) -> _Result:
    """Calls a method of the archive in a thread, and interrupts it if the caller is cancelled."""
    try:
        return await asyncio.to_thread(work, *arguments, **named)
    except asyncio.CancelledError:
        archive.interrupt()
        raise
