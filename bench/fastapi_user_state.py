"""The reads of user_state behind FastAPI, to compare with: see `fastapi_eulas`.

BENCH_DATABASE_URL=... uvicorn bench.fastapi_user_state:app --loop uvloop --http httptools
"""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, Field

from .fastapi_pool import pooled

_STATE = "SELECT revision, selected_category, tariffs FROM user_state.personal_states WHERE yandex_uid = $1"


class StateRequest(BaseModel):
    yandex_uid: str = Field(min_length=1, max_length=128)


class TariffSettingsBody(BaseModel):
    category: str
    requirements: dict[str, Any]


class State(BaseModel):
    revision_id: str
    selected_category: str
    tariffs: list[TariffSettingsBody]


app = FastAPI(lifespan=pooled)


@app.post("/v1/personalstate/get")
async def personal_state(request: StateRequest) -> State:
    row = await app.state.pool.fetchrow(_STATE, request.yandex_uid)
    if row is None:
        return State(revision_id="0", selected_category="", tariffs=[])
    return State(
        revision_id=str(row["revision"]),
        selected_category=row["selected_category"],
        tariffs=[
            TariffSettingsBody(category=category, requirements=one)
            for category, one in json.loads(row["tariffs"]).items()
        ],
    )
