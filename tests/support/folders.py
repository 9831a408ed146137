"""Folders for real processes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def shared_folder() -> Iterator[Path]:
    """A temporary folder that other users of the machine may pass through.

    Run by root, the embedded Postgres belongs to another user; pytest's own folders are closed to others, and closed
    again whenever any pytest starts. The path is short, because unix sockets are created in it.
    """
    folder = Path(tempfile.mkdtemp(prefix="ridehail-test-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
