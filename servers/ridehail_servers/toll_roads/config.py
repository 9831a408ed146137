"""The content of `toll_roads.yaml`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class TollRoadsConfig(BaseModel):
    """How toll_roads answers.

    Attributes:
        retrieve_by: "order": by the orders that processing reports. "offer": by the orders' offers, until it does.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    retrieve_by: Literal["order", "offer"] = "order"
