"""Makes commits to an archive on this machine survive a loss of power: the database deletes what they hold."""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import unquote, urlsplit


def sync_commit(table_url: str, version: int) -> None:
    """Waits until a commit and its files are on the disk, which deltalake does not.

    An object store responds only when it has stored, so there is nothing to do for one.

    Raises:
        OSError: The disk failed.
    """
    folder = _folder(table_url)
    if folder is None:
        return
    commit = folder / "_delta_log" / f"{version:020}.json"
    # JSON may hold what else `splitlines` takes for the end of a line.
    actions = (json.loads(line) for line in commit.read_bytes().split(b"\n") if line)
    files = [commit, *(folder / unquote(action["add"]["path"]) for action in actions if "add" in action)]
    for path in [*files, *{file.parent for file in files}, folder, folder.parent]:
        _sync(path)


def sync_all(table_url: str) -> None:
    """Waits until all commits of a table are on the disk, as `sync_commit` does."""
    if _folder(table_url) is not None:
        os.sync()


def _folder(table_url: str) -> Path | None:
    parts = urlsplit(table_url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
