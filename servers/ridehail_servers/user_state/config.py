"""The content of `user_state.yaml`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class UserStateConfig(BaseModel):
    """How long states and comparisons are kept.

    Attributes:
        mismatches_kept: How many of the latest mismatches are kept.
        mismatches_kept_days: Days after which a mismatch is deleted.
        comparisons_kept_days: Days after which the totals of a minute are deleted.
        states_kept_days: Days after its last change after which a state is deleted: its user is gone, or has nothing to
            lose but defaults. 0: never.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mismatches_kept: int = Field(default=10_000, ge=1, le=1_000_000)
    mismatches_kept_days: int = Field(default=30, ge=1, le=366)
    states_kept_days: int = Field(default=1096, ge=0, le=36_600)
    comparisons_kept_days: int = Field(default=30, ge=1, le=366)
