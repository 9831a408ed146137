"""Configuration files that change while the server runs.

A bad file stops the start. A bad edit of a running server, by the same rules (`config`), changes nothing: the old
values stay, an error names file, key and reason, and the gauge `ridehail_config_invalid{file}` is 1 until the file is
good again.

Files are read again and again (`reload_every_s`) instead of being watched: notifications miss folders that are
replaced, links that are moved, and what lies behind a link, and a dozen small files cost 0.1 ms.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence, Set
from pathlib import Path
from typing import Generic, Protocol

from .background import report_failure
from .config import ConfigError, Model, Refused, load, read_bytes
from .logs import get_logger
from .metrics import CONFIG_INVALID

logger = get_logger(__name__)

RELOAD = "reload of files"
"""The name of the loop that reloads files."""


class Reloadable(Protocol):
    """Something that is read from a file and can be read again."""

    @property
    def file(self) -> Path: ...

    def reload(self) -> bool:
        """Takes over the file's content, or keeps the old one and logs why; returns whether the file is good."""


class LiveConfig(Generic[Model]):
    def __init__(self, file: Path, model: type[Model], *, check: Callable[[Model], None] = lambda _value: None) -> None:
        """Reads a YAML file; raises `ConfigError`, see `load`.

        Args:
            file: Where it is.
            model: What it must hold.
            check: Judges it beside the rest of the process, at the start and at every reload; raises `Refused`.
        """
        self._file = file
        self._model = model
        self._check = check
        self._value = self._load()
        CONFIG_INVALID.labels(file.name).set(0)

    @property
    def file(self) -> Path:
        return self._file

    @property
    def value(self) -> Model:
        """The latest good content. Read it once a request: the next read may differ."""
        return self._value

    def reload(self) -> bool:
        try:
            value = self._load()
        except ConfigError as error:
            logger.error("configuration refused", file=str(error.file), key=error.key, reason=error.reason)
            return False
        if value != self._value:
            self._value = value
            logger.info("configuration changed", file=str(self._file))
        return True

    def _load(self) -> Model:
        value = load(self._file, self._model)
        try:
            self._check(value)
        except Refused as error:
            raise ConfigError(self._file, error.key, str(error)) from error
        return value


Fingerprints = Mapping[Path, bytes]
"""File -> what tells its content, and when it was written, from any other.

The content alone would not do: a reload may read an edit that came after the look. If that is undone before the next
look, the file would count as taken over though something else is in force.
"""


async def watch(files: Sequence[Reloadable], *, look_every_s: float = 0.25) -> None:
    """Reloads files as their content changes, until cancelled.

    A change is taken over when two looks in a row have found the same, so a file that is written in place is not taken
    over while it is half there.
    """
    # What changed between the start and the first look has been noticed by nobody, so nothing counts as taken over.
    taken: dict[Path, bytes] = {}
    before: dict[Path, bytes] = {}
    while True:
        found = await asyncio.to_thread(_fingerprints, {one.file for one in files})
        settled = settled_files(before, found, taken)
        if settled:
            await asyncio.to_thread(reload, [one for one in files if one.file in settled])
            taken.update((file, found[file]) for file in settled)
        before = found
        await asyncio.sleep(look_every_s)


def settled_files(before: Fingerprints, found: Fingerprints, taken: Fingerprints) -> set[Path]:
    """Returns which files have been changed since they were taken over, and are not being changed any more."""
    return {file for file, print_ in found.items() if print_ == before.get(file) != taken.get(file)}


def _fingerprints(files: Set[Path]) -> dict[Path, bytes]:
    found: dict[Path, bytes] = {}
    for file in files:
        try:
            written_at = file.stat().st_mtime_ns
            found[file] = b"%d %s" % (written_at, hashlib.sha256(read_bytes(file)).digest())
        except OSError as error:
            found[file] = str(error.errno).encode()
    return found


def reload(files: Sequence[Reloadable]) -> None:
    """Reloads files. Several may read the same one, each in its own way: it is good if all of them say so."""
    refused = {one.file.name for one in files if not _reload(one)}
    for one in files:
        CONFIG_INVALID.labels(one.file.name).set(one.file.name in refused)


def _reload(one: Reloadable) -> bool:
    try:
        return one.reload()
    except Exception as error:  # one file must not keep the others from being reloaded
        report_failure(RELOAD, error, file=str(one.file))
        return False
