"""The part of `api_proxy.yaml` that is about personal states."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from .route import Mode


class PersonalStateConfig(BaseModel):
    """How the two back ends of personal states are called.

    Attributes:
        mode: What becomes of riders in the experiments.
        new_timeout_ms: Milliseconds for the new back end, connecting included.
        old_timeout_ms: Milliseconds for the old back end, repeats of a read included.
        compare_queue: Pairs of responses that may wait to be compared at most; further ones are dropped.
        compare_workers: Comparisons under way at most.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    # In the file it is a word, not yet a value of the enumeration.
    mode: Annotated[Mode, Field(strict=False)]
    # Together they stay below the five seconds that the contract gives the whole call.
    new_timeout_ms: int = Field(ge=1, le=2_000)
    old_timeout_ms: int = Field(ge=1, le=2_500)
    compare_queue: int = Field(ge=0, le=10_000)
    compare_workers: int = Field(ge=1, le=64)

    @property
    def new_timeout_s(self) -> float:
        """The timeout of the new back end, in seconds."""
        return self.new_timeout_ms / 1000

    @property
    def old_timeout_s(self) -> float:
        """The timeout of the old back end, in seconds."""
        return self.old_timeout_ms / 1000
