"""The reads of eulas behind FastAPI, to compare with: as one would write them today, over JSON.

    BENCH_DATABASE_URL=... BENCH_CONFIG=FOLDER uvicorn bench.fastapi_eulas:app --loop uvloop --http httptools

It has what FastAPI gives (routing, validation of the request, JSON) and nothing of the chassis: no authentication, no
deadlines, no logs or metrics; the configuration is read once.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from fastapi import FastAPI
from pydantic import BaseModel, Field

from .fastapi_pool import pooled

_DECISIONS = "SELECT eula_id, status, revision, valid_till FROM eulas.users WHERE yandex_uid = $1"
_CONFIG: dict[str, Any] = yaml.safe_load(Path(os.environ["BENCH_CONFIG"], "eulas.yaml").read_text(encoding="utf-8"))
_EULAS: dict[str, dict[str, Any]] = {eula["eula_id"]: eula for eula in _CONFIG["EULAS"]}


class CheckRequest(BaseModel):
    yandex_uid: str = Field(min_length=1, max_length=128)
    eula_types: list[str] = Field(min_length=1, max_length=100)


class EulaStatusBody(BaseModel):
    eula_id: str
    type: str
    status: str


class CheckResponse(BaseModel):
    eulas: list[EulaStatusBody]


class ListRequest(BaseModel):
    yandex_uid: str = Field(min_length=1, max_length=128)
    zone_name: str = Field(min_length=1, max_length=128)


class EulaBody(BaseModel):
    eula_id: str
    type: str
    status: str
    title: str
    text: str
    url: str
    rejectable: bool


class ListResponse(BaseModel):
    eulas: list[EulaBody]


app = FastAPI(lifespan=pooled)


async def _decided(yandex_uid: str) -> dict[str, str]:
    """Returns the status of each agreement that the user has a valid decision on."""
    now = datetime.now(UTC)
    return {
        row["eula_id"]: row["status"]
        for row in await app.state.pool.fetch(_DECISIONS, yandex_uid)
        if row["valid_till"] > now and row["revision"] >= _EULAS.get(row["eula_id"], {"revision": 0})["revision"]
    }


@app.post("/v1/check")
async def check(request: CheckRequest) -> CheckResponse:
    decided = await _decided(request.yandex_uid)
    statuses = []
    for eula_type in request.eula_types:
        of_type = {eula_id: decided[eula_id] for eula_id in decided if _EULAS[eula_id]["type"] == eula_type}
        status = next((one for one in ("accepted", "rejected") if one in of_type.values()), "unknown")
        eula_id = next((eula_id for eula_id, one in of_type.items() if one == status), "")
        statuses.append(EulaStatusBody(eula_id=eula_id, type=eula_type, status=status))
    return CheckResponse(eulas=statuses)


@app.post("/v1/list")
async def unknown(request: ListRequest) -> ListResponse:
    decided = await _decided(request.yandex_uid)
    country = _CONFIG["ZONES"].get(request.zone_name)
    return ListResponse(
        eulas=[
            EulaBody(
                eula_id=eula["eula_id"],
                type=eula["type"],
                status="unknown",
                title=eula["title"]["en"],
                text=eula.get("text", {}).get("en", ""),
                url=eula.get("url", ""),
                rejectable=eula["rejectable"],
            )
            for eula in _EULAS.values()
            if eula["eula_id"] not in decided
            and request.zone_name in (eula.get("zones") or [request.zone_name])
            and country in (eula.get("countries") or [country])
        ]
    )
