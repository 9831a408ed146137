"""The `ridehail` script. Every install has it: where the servers are not installed, it says what to install."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line, see `cli.main`."""
    try:
        from .cli import main as run  # noqa: PLC0415 - what it needs may be missing

        run(arguments)
    except ModuleNotFoundError as error:
        if (error.name or "ridehail").startswith("ridehail"):
            raise
        sys.stderr.write(f"ridehail: {error.name} is not installed: pip install 'ridehail[server]'\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
