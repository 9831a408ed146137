"""What a process runs: the version of the suite, and the commit that it was built from."""

from __future__ import annotations

import os
from functools import cache
from typing import Final

COMMIT_VARIABLE: Final = "RIDEHAIL_COMMIT"


@cache
def version() -> str:
    """Returns the version of the installed distribution, or an empty string where none is installed."""
    from importlib import metadata  # noqa: PLC0415 - commands that log nothing do without

    try:
        return metadata.version("ridehail")
    except metadata.PackageNotFoundError:
        return ""


def commit() -> str:
    """Returns the commit, where whoever built the image has put it into the environment, or an empty string."""
    return os.environ.get(COMMIT_VARIABLE, "")
