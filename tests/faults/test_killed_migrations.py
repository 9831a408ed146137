"""A migrator that is killed at any of its steps, as by kill -9, leaves nothing that stops the next one."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import yoyo
from yoyo import internalmigrations
from yoyo import migrations as yoyo_migrations

from ridehail_servers.chassis import migrations
from tests.support import processes
from tests.support.databases import empty_database, migrations_of

# A schema with migrations in SQL and in Python.
SCHEMA = "toll_roads"


@pytest.fixture
def url(postgres_url: str) -> Iterator[str]:
    with empty_database(postgres_url) as url:
        yield url


def _die_after(target: Any, name: str) -> None:  # any class or module of yoyo
    original = getattr(target, name)

    def dying(*arguments: Any, **named: Any) -> None:  # whatever the original takes
        original(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(target, name, dying)


STEPS = {
    "yoyo's own tables made": (internalmigrations, "upgrade"),
    "statements executed": (yoyo_migrations.Migration, "process_steps"),
    "recorded": (yoyo.backends.base.DatabaseBackend, "mark_one"),
    "committed": (yoyo.backends.base.TransactionManager, "_do_commit"),
    "removed from the record": (yoyo.backends.base.DatabaseBackend, "unmark_one"),
}


def _dying(url: str, step: str, call: str) -> None:
    _die_after(*STEPS[step])
    getattr(migrations, call)(url, SCHEMA, migrations_of(SCHEMA))


def killed(url: str, step: str, call: str) -> bool:
    """Migrates in a process that dies after a step; returns whether it came to that."""
    return not processes.ended_well(processes.start(_dying, url, step, call))


def tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        query = "SELECT table_name FROM information_schema.tables WHERE table_schema = %s"
        return {name for (name,) in connection.execute(query, (SCHEMA,))}


@pytest.mark.parametrize("step", ["yoyo's own tables made", "statements executed", "recorded", "committed"])
def test_the_next_run_finishes_what_a_killed_one_began(url: str, step: str) -> None:
    assert killed(url, step, "migrate")

    migrations.migrate(url, SCHEMA, migrations_of(SCHEMA))

    assert migrations.migrate(url, SCHEMA, migrations_of(SCHEMA)) == []
    assert tables(url) >= {"offers", "orders", "log_has_toll_road", "archive_batches", "procrastinate_jobs"}


@pytest.mark.parametrize("step", ["statements executed", "removed from the record", "committed"])
def test_the_next_rollback_finishes_what_a_killed_one_began(url: str, step: str) -> None:
    migrations.migrate(url, SCHEMA, migrations_of(SCHEMA))
    assert killed(url, step, "roll_back")

    migrations.roll_back(url, SCHEMA, migrations_of(SCHEMA))

    assert {name for name in tables(url) if "yoyo" not in name} == set()
