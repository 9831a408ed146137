"""The lookup of toll_roads behind FastAPI, to compare with: see `fastapi_eulas`.

BENCH_DATABASE_URL=... uvicorn bench.fastapi_toll_roads:app --loop uvloop --http httptools
"""

from __future__ import annotations

from datetime import datetime

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field

from .fastapi_pool import pooled

_LATEST_ROAD = """
    SELECT latest.has_toll_road, orders.can_switch_road, latest.created_at AS created
    FROM toll_roads.orders
    CROSS JOIN LATERAL (
        SELECT has_toll_road, created_at
        FROM toll_roads.log_has_toll_road AS log
        WHERE log.order_id = orders.order_id
        ORDER BY created_at DESC
        LIMIT 1
    ) AS latest
    WHERE orders.order_id = $1
"""


class RetrieveRequest(BaseModel):
    order_id: str = Field(min_length=1, max_length=128)


class RetrieveResponse(BaseModel):
    has_toll_road: bool
    can_switch_road: bool
    created: datetime


app = FastAPI(lifespan=pooled)


@app.post("/toll-roads/v1/order/retrieve")
async def retrieve(request: RetrieveRequest) -> RetrieveResponse:
    row = await app.state.pool.fetchrow(_LATEST_ROAD, request.order_id)
    if row is None:
        raise HTTPException(404)
    return RetrieveResponse(**row)
