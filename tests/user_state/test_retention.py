"""States of users who are gone, and old mismatches, are deleted by schedule."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ridehail_servers.user_state.config import UserStateConfig
from ridehail_servers.user_state.retention_store import RetentionStore
from ridehail_servers.user_state.tasks import DeleteOldStates
from tests.support.suite_in_process import SuiteInProcess

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
STATES = "SELECT yandex_uid FROM user_state.personal_states ORDER BY 1"


@pytest.fixture
async def filled(module_suite: SuiteInProcess) -> SuiteInProcess:
    """Five states and mismatches of 0, 100 ... 400 days ago."""
    await module_suite.empty_tables()
    await module_suite.execute(
        """
        INSERT INTO user_state.personal_states
        SELECT n, 1, '', '{}', %s::timestamptz - n * interval '100 days' FROM generate_series(0, 4) AS n
        """,
        NOW,
    )
    await module_suite.execute(
        """
        INSERT INTO user_state.mismatches (at, request_id, kind, old_status, new_status, differences)
        SELECT %s::timestamptz - n * interval '100 days', n, 'read', 200, 200, '[]' FROM generate_series(0, 4) AS n
        """,
        NOW,
    )
    return module_suite


def purge(suite: SuiteInProcess, **config: int) -> DeleteOldStates:
    configuration = UserStateConfig(**config)
    return DeleteOldStates(suite.database("user-state"), RetentionStore(), lambda: configuration, lambda: NOW, batch=2)


async def test_what_has_not_changed_for_so_long_is_deleted_in_batches(filled: SuiteInProcess) -> None:
    await purge(filled, states_kept_days=100, mismatches_kept_days=200).run(0)

    assert await filled.rows(STATES) == [("0",), ("1",)]
    mismatches = "SELECT request_id FROM user_state.mismatches ORDER BY 1"
    assert await filled.rows(mismatches) == [("0",), ("1",), ("2",)]


async def test_states_stay_where_nothing_says_how_long(filled: SuiteInProcess) -> None:
    await purge(filled, states_kept_days=0).run(0)
    assert len(await filled.rows(STATES)) == 5


async def test_a_state_that_is_written_meanwhile_stays(filled: SuiteInProcess) -> None:
    async with filled.database("user-state").transaction() as connection:
        await connection.execute("UPDATE user_state.personal_states SET updated_at = %s WHERE yandex_uid = '4'", (NOW,))
        await purge(filled, states_kept_days=100).run(0)
    assert await filled.rows(STATES) == [("0",), ("1",), ("4",)]
