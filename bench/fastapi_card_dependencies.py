"""What the card of a ride needs, behind FastAPI, to compare with: see `fastapi_eulas`.

    BENCH_DATABASE_URL=... BENCH_CONFIG=FOLDER uvicorn bench.fastapi_card_dependencies:app --loop uvloop

The order's state, the road, and the banners, of whose toggle each request asks whether the ride is shared.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml
from fastapi import HTTPException
from pydantic import BaseModel, Field

from .fastapi_toll_roads import app

__all__ = ["app"]

_ORDER = """
    SELECT yandex_uid, document -> 'order' ->> 'status' AS status, document -> 'order' ->> 'rsk' AS sharing_key
    FROM order_core.orders WHERE order_id = $1
"""
_IS_SHARED = "SELECT EXISTS (SELECT FROM order_route_sharing.sharing_keys WHERE sharing_key = $1)"
_SETS: list[dict[str, Any]] = yaml.safe_load(
    Path(os.environ["BENCH_CONFIG"], "inapp.yaml").read_text(encoding="utf-8")
)["banner_sets"]


class OrderInfoRequest(BaseModel):
    order_id: str = Field(min_length=1, max_length=128)


class OrderInfoResponse(BaseModel):
    order_id: str
    yandex_uid: str
    status: str
    sharing_key: str


class PromosRequest(BaseModel):
    sharing_key: str = Field(min_length=1, max_length=128)
    family_role: str = Field(max_length=128)


class PromoBody(BaseModel):
    id: str
    title: str
    text: str
    image_url: str
    is_selected: bool | None


class PromosResponse(BaseModel):
    promos: list[PromoBody]


@app.post("/v1/tc/order-info")
async def order_info(request: OrderInfoRequest) -> OrderInfoResponse:
    row = await app.state.pool.fetchrow(_ORDER, request.order_id)
    if row is None:
        raise HTTPException(404)
    return OrderInfoResponse(order_id=request.order_id, **row)


@app.post("/inapp/v1/promos-on-the-way")
async def promos_on_the_way(request: PromosRequest) -> PromosResponse:
    is_shared = await app.state.pool.fetchval(_IS_SHARED, request.sharing_key)
    role = request.family_role
    banners = next(one["banners"] for one in _SETS if role in one.get("family_roles", [role]))
    return PromosResponse(
        promos=[
            PromoBody(
                id=banner["id"],
                title=banner["title"]["en"],
                text=banner.get("text", {}).get("en", ""),
                image_url=banner.get("image_url", ""),
                is_selected=is_shared if "toggle" in banner else None,
            )
            for banner in banners
        ]
    )
