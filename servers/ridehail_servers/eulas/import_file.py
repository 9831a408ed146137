"""Reads the file to import, and writes the lines that were rejected."""

from __future__ import annotations

import fcntl
import gzip
import io
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import orjson

from .import_lines import MAX_LINE_BYTES

# Of a gigabyte without a line break no more than this is held at once.
_MAX_READ = MAX_LINE_BYTES + 1


class FileUnusable(Exception):
    """The file cannot be imported; the message says which and why."""


class Dump:
    """A file of lines, read from its beginning to its end in bounded memory."""

    def __init__(self, path: Path, raw: BinaryIO, lines: io.BufferedIOBase | BinaryIO) -> None:
        self._path = path
        self._raw = raw
        self._lines = lines
        self.size = os.fstat(raw.fileno()).st_size

    @property
    def position(self) -> int:
        """How many bytes of the file, compressed or not, have been read."""
        return self._raw.tell()

    def lines(self) -> Iterator[bytes]:
        """Yields the lines; of one that is longer than `MAX_LINE_BYTES` only the first `MAX_LINE_BYTES` + 1 bytes.

        Raises:
            FileUnusable: It is not a whole gzip file.
        """
        try:
            while line := self._lines.readline(_MAX_READ):
                yield line
                while len(line) == _MAX_READ and not line.endswith(b"\n"):
                    line = self._lines.readline(_MAX_READ)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise FileUnusable(f"{self._path} is not a whole gzip file") from error


@contextmanager
def open_dump(path: Path) -> Iterator[Dump]:
    """Opens a file for one import at a time, and unpacks it if its name ends with `.gz`.

    Raises:
        FileUnusable: It is a folder or a device, or is being imported.
        OSError: It cannot be opened.
    """
    with path.open("rb") as raw:
        if not stat.S_ISREG(os.fstat(raw.fileno()).st_mode):
            raise FileUnusable(f"{path} is not a file")
        try:
            # Two imports would write the same file of rejects. The lock goes with the process, however that ends.
            fcntl.flock(raw, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FileUnusable(f"{path} is being imported already") from error
        if path.suffix == ".gz":
            with gzip.GzipFile(fileobj=raw) as unpacked:
                yield Dump(path, raw, unpacked)
        else:
            yield Dump(path, raw, raw)


class RejectsFile:
    """A file of rejected lines. They are about persons, so only its owner may read it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.count = 0

    def add(self, line: int, reason: str, text: bytes) -> None:
        """Adds a line, numbered from 1, without its text if that is too long."""
        reject: dict[str, object] = {"line": line, "reason": reason}
        if len(text) <= MAX_LINE_BYTES:
            reject["text"] = text.rstrip(b"\r\n").decode(errors="replace")
        self._file.write(orjson.dumps(reject, option=orjson.OPT_APPEND_NEWLINE))
        self.count += 1


@contextmanager
def open_rejects(path: Path) -> Iterator[RejectsFile]:
    """Creates a file that replaces an earlier one at the end of the block, or removes that one if it is empty itself.

    A block that fails changes nothing; a killed process leaves a file beside it, which the next one removes.

    Raises:
        OSError: It cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            rejects = RejectsFile(file)
            yield rejects
            file.flush()
            os.fsync(file.fileno())
        if rejects.count:
            part.replace(path)
        else:
            path.unlink(missing_ok=True)
    finally:
        part.unlink(missing_ok=True)
