"""Files that nobody else may read."""

from __future__ import annotations

import os
from pathlib import Path

_OWNER_ONLY = 0o600


def write_secret(file: Path, text: str) -> None:
    """Writes a file that its owner alone can read, also where it was there before with other rights.

    Args:
        file: What to write.
        text: Its content.
    """
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, _OWNER_ONLY)
    with os.fdopen(descriptor, "w") as opened:
        # Before the first byte: an old file keeps its rights when it is opened.
        os.fchmod(descriptor, _OWNER_ONLY)
        opened.truncate()
        opened.write(text)
