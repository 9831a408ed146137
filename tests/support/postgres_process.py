"""Runs one Postgres for a test: `python -m tests.support.postgres_process FOLDER`.

Starts it and prints its URL, then obeys the lines `stop` and `start` and prints `done` after each. At the end of its
input it stops Postgres and ends, so that a killed test leaves nothing behind.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ridehail_servers.runtime.postgres import EmbeddedPostgres


def main(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    try:
        _print(server.start())
        for line in sys.stdin:
            {"start": server.start, "stop": server.stop}[line.strip()]()
            _print("done")
    finally:
        server.stop()


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
