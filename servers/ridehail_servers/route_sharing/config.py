"""The content of `route_sharing.yaml`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from .popup_title import Captions

_YEAR_H = 366 * 24


class RouteSharingConfig(BaseModel):
    """The content of `route_sharing.yaml`.

    Attributes:
        kept_h: Hours after which a ride is deleted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kept_h: int = Field(default=168, strict=True, ge=1, le=_YEAR_H)
    popup_title: Captions
