"""Migrates as `ridehail migrate` does, and is killed at the first step.

    python -m bench.chaos.killed_migrator URL inside|after

inside: in the transaction of the migration, after its statements; after: after its commit.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from yoyo import migrations as yoyo_migrations
from yoyo.backends import base

from ridehail_servers import suite
from ridehail_servers.chassis import migrations


def main() -> None:
    """Migrates every schema; returns only if there was nothing left to do."""
    url, when = sys.argv[1:]
    if when == "inside":
        _then(yoyo_migrations.Migration, "process_steps", _die)
    else:
        _then(base.DatabaseBackend, "mark_one", lambda: _then(base.TransactionManager, "_do_commit", _die))
    for definition in suite.SERVICES.values():
        if definition.schema is not None:
            migrations.migrate(url, definition.schema, definition.migrations_folder)


def _then(target: Any, name: str, action: Callable[[], None]) -> None:  # any class of yoyo
    """Runs `action` at the end of a method of yoyo."""
    original = getattr(target, name)

    def longer(*arguments: Any, **named: Any) -> None:  # whatever the original takes
        original(*arguments, **named)
        action()

    setattr(target, name, longer)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
