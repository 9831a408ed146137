"""A poll of order_state without poll tokens behind FastAPI, to compare with: see `fastapi_eulas`.

BENCH_DATABASE_URL=... BENCH_CONFIG=FOLDER uvicorn bench.fastapi_order_state:app --loop uvloop --http httptools
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import yaml
from fastapi import FastAPI, Header
from pydantic import BaseModel, Field

from .fastapi_pool import pooled

_PARTS = """
    SELECT service, orderid, part_name, version
    FROM order_state.orders JOIN order_state.parts USING (service, orderid)
    WHERE yandex_uid = $1 AND reported AND NOT finished
"""
_CONFIG: dict[str, Any] = yaml.safe_load(
    Path(os.environ["BENCH_CONFIG"], "order_state.yaml").read_text(encoding="utf-8")
)
_LIMITS: dict[str, int] = _CONFIG["max_active_orders"]
_PRIORITIES = {(policy["service"], policy["part_name"]): policy["priority"] for policy in _CONFIG["polling_policy"]}
_LAST = 1_000_000


class KnownOrderBody(BaseModel):
    orderid: str = Field(min_length=1, max_length=128)
    service: str = Field(min_length=1, max_length=128)
    status: str = Field(max_length=128)
    tags: dict[str, str] = Field(default={}, max_length=20)
    force: bool = False


class PollRequest(BaseModel):
    known_orders: list[KnownOrderBody] = Field(max_length=50)


class OrderStateBody(BaseModel):
    orderid: str
    service: str
    status: str
    tags: dict[str, str]
    need_request: list[str]
    update_status: str


class AllowedChangesBody(BaseModel):
    service: str
    can_make_more_orders: bool
    no_more_orders_reason: str | None = None


class PollResponse(BaseModel):
    orders: list[OrderStateBody]
    allowed_changes: list[AllowedChangesBody]


app = FastAPI(lifespan=pooled)


@app.post("/mlutp/v1/orders/state")
async def poll(request: PollRequest, x_yandex_uid: Annotated[str, Header()]) -> PollResponse:
    versions: dict[tuple[str, str], dict[str, str]] = {}
    for row in await app.state.pool.fetch(_PARTS, x_yandex_uid):
        versions.setdefault((row["service"], row["orderid"]), {})[row["part_name"]] = row["version"]
    orders = []
    for known in request.known_orders:
        found = versions.get((known.service, known.orderid))
        parts = found or {}
        needed = [part for part, version in parts.items() if known.force or known.tags.get(part) != version]
        needed.sort(key=lambda part: (_PRIORITIES.get((known.service, part), _LAST), part))
        orders.append(
            OrderStateBody(
                orderid=known.orderid,
                service=known.service,
                status=known.status,
                tags={**known.tags, **parts},
                need_request=needed,
                update_status="stale" if found is None else "actual",
            )
        )
    counts = Counter(order.service for order in orders)
    allowed = {service: counts[service] < _LIMITS.get(service, _LAST) for service in ("taxi", "eats", "grocery")}
    return PollResponse(
        orders=orders,
        allowed_changes=[
            AllowedChangesBody(
                service=service,
                can_make_more_orders=can,
                no_more_orders_reason=None if can else "too_many_orders",
            )
            for service, can in allowed.items()
        ],
    )
