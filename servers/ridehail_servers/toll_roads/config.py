"""The configuration of toll_roads."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_BATCH_SIZE = 50_000
"""Rows; a larger transaction would hold its locks for seconds."""

_MAX_AGE_H = 366 * 24


class RetentionConfig(BaseModel):
    """How long rows are kept.

    Attributes:
        offers_kept_h: Hours after which an offer is deleted.
        archived_after_h: Hours after which an order and a change of its road are copied to the archive.
        orders_kept_h: Hours after which they, once archived, are deleted; refused reports of orders as well.
        batch_size: Rows of one transaction and of one commit to the archive.
        rest_factor: How long a job pauses after a batch, in multiples of the time that the batch took.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    offers_kept_h: int = Field(default=24, ge=1, le=_MAX_AGE_H)
    archived_after_h: int = Field(default=24, ge=1, le=_MAX_AGE_H)
    orders_kept_h: int = Field(default=48, ge=1, le=_MAX_AGE_H)
    batch_size: int = Field(default=5_000, ge=1, le=MAX_BATCH_SIZE)
    rest_factor: float = Field(default=2, ge=0, le=100)

    @model_validator(mode="after")
    def _archive_first(self) -> RetentionConfig:
        if self.orders_kept_h < self.archived_after_h:
            raise ValueError("orders_kept_h must not be less than archived_after_h: only what is archived is deleted")
        return self


class TollRoadsConfig(BaseModel):
    """The content of `toll_roads.yaml`.

    Attributes:
        retrieve_by: "order": by the orders that processing reports. "offer": by the orders' offers, until it does.
        retention: How long rows are kept.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    retrieve_by: Literal["order", "offer"] = "order"
    retention: RetentionConfig = RetentionConfig()
