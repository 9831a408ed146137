"""The content of `user_data.yaml`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class UserDataConfig(BaseModel):
    """The content of `user_data.yaml`.

    Attributes:
        settle_s: Seconds after the last erasure for which an erasure waits before it searches for the last time: longer
            than any task of another service is under way.
        receipts_kept_days: Days after which receipts are deleted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    settle_s: int = Field(default=600, strict=True, ge=0, le=86_400)
    receipts_kept_days: int = Field(default=1096, strict=True, ge=1, le=36_600)
