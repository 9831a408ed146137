"""The task queue's schema, as migrations of the service that has the queue.

procrastinate ships its schema as a chain of SQL files. A migration applies a stretch of the chain that it names, so an
upgrade of procrastinate is one more migration, and a fresh database takes the same steps as an old one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yoyo
from procrastinate.schema import SchemaManager


def task_queue_steps(*, since: str | None, until: str) -> list[Any]:  # yoyo's steps have no public type
    """Returns the steps of a migration that brings the queue from one of procrastinate's files to another.

    The first one applied is that after `since`, or the very first if that is None; the last is `until`. Raises
    `ValueError` if the installed procrastinate has no such file.
    """
    files = {path.name: path for path in sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))}
    for name in filter(None, (since, until)):
        if name not in files:
            raise ValueError(f"procrastinate has no migration {name}")
    steps = [yoyo.step(path.read_text()) for name, path in files.items() if (since or "") < name <= until]
    return [yoyo.step("", _DROP_ALL), *steps] if since is None else steps


# Undoes the whole chain: the queue's objects are known by their prefix.
_DROP_ALL = """
DO $$
DECLARE
    victim record;
BEGIN
    FOR victim IN SELECT tablename FROM pg_tables
        WHERE schemaname = current_schema() AND tablename LIKE 'procrastinate\\_%'
    LOOP
        EXECUTE format('DROP TABLE %I CASCADE', victim.tablename);
    END LOOP;
    FOR victim IN SELECT p.oid::regprocedure AS signature FROM pg_proc p
        WHERE p.pronamespace = current_schema()::regnamespace AND p.proname LIKE 'procrastinate\\_%'
    LOOP
        EXECUTE format('DROP FUNCTION %s CASCADE', victim.signature);
    END LOOP;
    FOR victim IN SELECT t.typname FROM pg_type t
        WHERE t.typnamespace = current_schema()::regnamespace AND t.typname LIKE 'procrastinate\\_%'
        AND t.typtype <> 'b'
    LOOP
        EXECUTE format('DROP TYPE IF EXISTS %I CASCADE', victim.typname);
    END LOOP;
END $$;
"""
