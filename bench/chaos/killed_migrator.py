"""Migrates as `ridehail migrate` does, and dies at the first step: `python -m bench.chaos.killed_migrator URL WHEN`.

WHEN is `inside`: in the transaction of the migration, after its statements; or `after`: after its commit.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import yoyo
from yoyo import migrations as yoyo_migrations

from ridehail_servers import suite
from ridehail_servers.chassis import migrations


def main() -> None:
    """Migrates every schema; returns only when there was nothing left to do."""
    url, when = sys.argv[1:]
    target, name = {
        "inside": (yoyo_migrations.Migration, "process_steps"),
        "after": (yoyo.backends.base.DatabaseBackend, "apply_one"),
    }[when]
    original = getattr(target, name)

    def dying(*arguments: Any, **named: Any) -> None:  # whatever the original takes
        original(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(target, name, dying)
    for definition in suite.SERVICES.values():
        if definition.schema is not None:
            migrations.migrate(url, definition.schema, definition.migrations_folder)


if __name__ == "__main__":
    main()
