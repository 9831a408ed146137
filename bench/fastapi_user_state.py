"""What we compare user_state with: its reads behind FastAPI, as one would write them today, over JSON.

    BENCH_DATABASE_URL=... uvicorn bench.fastapi_user_state:app --loop uvloop --http httptools

It has what FastAPI gives (routing, validation of the request, JSON) and nothing of the chassis: no caller is verified,
no deadline is kept, nothing is logged or measured.
"""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, Field

from .fastapi_pool import pooled

_STATE = "SELECT revision, selected_category, tariffs FROM user_state.personal_states WHERE yandex_uid = $1"


class StateRequest(BaseModel):
    """Whose state to tell."""

    yandex_uid: str = Field(min_length=1, max_length=128)


class TariffSettingsBody(BaseModel):
    """What is set for a tariff."""

    category: str
    requirements: dict[str, Any]


class State(BaseModel):
    """What the user has set."""

    revision_id: str
    selected_category: str
    tariffs: list[TariffSettingsBody]


app = FastAPI(lifespan=pooled)


@app.post("/v1/personalstate/get")
async def personal_state(request: StateRequest) -> State:
    """Returns the user's state."""
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
