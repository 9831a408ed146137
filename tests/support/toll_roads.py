"""Orders and offers, stored straight into the tables of toll_roads."""

from __future__ import annotations

from datetime import datetime

from tests.support.suite_in_process import SuiteInProcess


async def put_order(
    suite: SuiteInProcess, order_id: str, *changes: tuple[datetime, bool], can_switch_road: bool = True
) -> None:
    """Stores an order with changes of its road, in the given order of arrival."""
    created = min((created for created, _road in changes), default=datetime.fromisoformat("2026-11-20T12:00:00Z"))
    await suite.execute(
        "INSERT INTO toll_roads.orders VALUES (%s, %s, NULL, %s, NULL)", order_id, created, can_switch_road
    )
    for change_created, has_toll_road in changes:
        await suite.execute(
            "INSERT INTO toll_roads.log_has_toll_road VALUES (%s, %s, %s)", order_id, change_created, has_toll_road
        )


async def put_orders(suite: SuiteInProcess, number: int, *, created: datetime) -> list[str]:
    """Stores orders by the toll road at once, and returns their ids."""
    await suite.execute(
        "INSERT INTO toll_roads.orders SELECT 'order-' || n, %s, NULL, true, NULL FROM generate_series(1, %s) n",
        created,
        number,
    )
    await suite.execute(
        "INSERT INTO toll_roads.log_has_toll_road SELECT 'order-' || n, %s, true FROM generate_series(1, %s) n",
        created,
        number,
    )
    return [f"order-{n}" for n in range(1, number + 1)]
