"""The programs of the benchmarks that are written in Go, built here when they are first needed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

_SOURCES = Path(__file__).parent
_BUILT = Path(__file__).parents[1] / "build" / "tools"
_GO_PLACES = ("/usr/local/go/bin/go", "/usr/lib/go/bin/go")
_BUILD_S = 600


class ToolMissing(Exception):
    """A program cannot be built; the message says what to do."""


def built(name: str) -> Path:
    """Returns the program of a folder beside this file; builds it if its source is newer.

    Raises:
        ToolMissing: It has to be built, and Go is not installed.
    """
    source, program = _SOURCES / name, _BUILT / name
    youngest = max(file.stat().st_mtime for file in source.iterdir())
    if program.exists() and program.stat().st_mtime >= youngest:
        return program
    go = shutil.which("go") or next(filter(os.path.exists, _GO_PLACES), None)
    if go is None:
        raise ToolMissing(f"{name} needs Go 1.25 or newer to be built: https://go.dev/dl/")
    _BUILT.mkdir(parents=True, exist_ok=True)
    fresh = program.with_name(f"{name}.{os.getpid()}")  # others may be building it as well
    ended = subprocess.run(
        [go, "build", "-o", str(fresh), "."],
        cwd=source,
        capture_output=True,
        text=True,
        timeout=_BUILD_S,
        check=False,
    )
    if ended.returncode != 0:
        raise ToolMissing(f"{name} cannot be built: {ended.stderr.strip()}")
    fresh.replace(program)
    return program
