"""The content of `user_state.yaml`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class UserStateConfig(BaseModel):
    """How long comparisons are kept.

    Attributes:
        mismatches_kept: How many of the latest mismatches are kept.
        comparisons_kept_days: Days after which the totals of a minute are deleted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mismatches_kept: int = Field(default=10_000, ge=1, le=1_000_000)
    comparisons_kept_days: int = Field(default=30, ge=1, le=366)
