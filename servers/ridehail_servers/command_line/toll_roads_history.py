"""What `ridehail toll-roads history` prints."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from pathlib import Path

import typer

from ridehail_kernel.text_rules import is_id
from ridehail_servers.chassis import logs
from ridehail_servers.toll_roads.retention.archive_store import ArchiveStore
from ridehail_servers.toll_roads.retention.history import Histories, OrderHistory

from .job_database import job_database, job_database_url
from .options import UsageError

_SERVICE = "toll-roads"


def print_history(order_id: str, database_url: str | None, data_dir: Path, archive_url: str, *, as_json: bool) -> None:
    """Prints all that database and archive know of an order.

    Args:
        order_id: The order.
        database_url: The option.
        data_dir: Of a running `ridehail up`.
        archive_url: Of the archive's folder.
        as_json: Whether as JSON instead of a table.

    Raises:
        UsageError: It is no id, or no database is named.
    """
    if not is_id(order_id):
        raise UsageError("an order's id has 1 to 128 printable characters")
    postgres = job_database_url(_SERVICE, database_url, data_dir)

    async def look_up() -> OrderHistory:
        async with job_database(_SERVICE, postgres) as database:
            return await Histories(database, ArchiveStore(), archive_url).of(order_id)

    logs.configure(service=_SERVICE, level="WARNING")
    found = asyncio.run(look_up())
    typer.echo(json.dumps(_json(order_id, found)) if as_json else _table(order_id, found))


def _moment(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _json(order_id: str, found: OrderHistory) -> dict[str, object]:
    order = found.order
    return {
        "order_id": order_id,
        "order": order
        and {
            "created": _moment(order.row.created_at),
            "offer_id": order.row.offer_id,
            "can_switch_road": order.row.can_switch_road,
            "where": order.place.value,
        },
        "changes": [
            {
                "created": _moment(change.row.created_at),
                "has_toll_road": change.row.has_toll_road,
                "where": change.place.value,
            }
            for change in found.changes
        ],
    }


def _table(order_id: str, found: OrderHistory) -> str:
    lines = [f"order {order_id}"]
    if found.order is not None:
        row = found.order.row
        switch = "may be switched" if row.can_switch_road else "may not be switched"
        lines.append(f"created {_moment(row.created_at)}, offer {row.offer_id or 'none'}, the road {switch}")
        lines.append(f"in {found.order.place}")
    changes = [("created", "road", "in")]
    changes += [
        (_moment(it.row.created_at), "toll" if it.row.has_toll_road else "free", it.place.value) for it in found.changes
    ]
    widths = [max(map(len, column)) for column in zip(*changes, strict=True)]
    cells = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in changes]
    return "\n".join([*lines, "", *("  ".join(line).rstrip() for line in cells)])
