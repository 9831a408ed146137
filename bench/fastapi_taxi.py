"""The card of a ride behind FastAPI, to compare with: three calls of `fastapi_card_dependencies` by httpx.

BENCH_DEPENDENCIES=HOST:PORT uvicorn bench.fastapi_taxi:app --loop uvloop --http httptools
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
from fastapi import FastAPI, Header, HTTPException
from pydantic import BaseModel, Field

_ROLE = "user"


class CardRequest(BaseModel):
    order_id: str = Field(min_length=1, max_length=128)


class RoadBody(BaseModel):
    has_toll_road: bool
    can_switch_road: bool


class CardResponse(BaseModel):
    order_id: str
    status: str
    toll_road: RoadBody
    promos: list[dict[str, Any]]


@asynccontextmanager
async def _connected(application: FastAPI) -> AsyncIterator[None]:
    address = os.environ["BENCH_DEPENDENCIES"]
    # By default it keeps twenty connections, and would make most of them anew.
    kept = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(base_url=f"http://{address}", timeout=1.0, trust_env=False, limits=kept) as client:
        application.state.client = client
        yield


app = FastAPI(lifespan=_connected)


@app.post("/3.0/taxiontheway")
async def card(request: CardRequest, x_yandex_uid: Annotated[str, Header()]) -> CardResponse:
    order = await _fetch("/v1/tc/order-info", order_id=request.order_id)
    if order["yandex_uid"] != x_yandex_uid:
        raise HTTPException(404)
    road, promos = await asyncio.gather(
        _fetch("/toll-roads/v1/order/retrieve", order_id=request.order_id),
        _fetch("/inapp/v1/promos-on-the-way", sharing_key=order["sharing_key"], family_role=_ROLE),
    )
    return CardResponse(
        order_id=request.order_id, status=order["status"], toll_road=RoadBody(**road), promos=promos["promos"]
    )


async def _fetch(path: str, **body: str) -> dict[str, Any]:
    response = await app.state.client.post(path, json=body)
    response.raise_for_status()
    found: dict[str, Any] = response.json()
    return found
