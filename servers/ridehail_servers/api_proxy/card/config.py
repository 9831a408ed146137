"""What `api_proxy.yaml` says about the card of a ride under way."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from .promo_cache import LONGEST_TTL_S

_Milliseconds = Annotated[int, Field(ge=1, le=10_000)]


class CardPatience(BaseModel):
    """How long the card of a ride waits for each service, in milliseconds.

    Attributes:
        order_core_timeout_ms: For the order; without it there is no card.
        route_sharing_timeout_ms: For what the rider did with the toggle.
        inapp_timeout_ms: For the banners.
        toll_roads_timeout_ms: For the road, beside the others.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    order_core_timeout_ms: _Milliseconds
    route_sharing_timeout_ms: _Milliseconds
    inapp_timeout_ms: _Milliseconds
    toll_roads_timeout_ms: _Milliseconds


class KeptFor(BaseModel):
    """For how long the banners of a set are kept.

    Attributes:
        ttl_s: In seconds; 0: not at all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    ttl_s: int = Field(ge=0, le=LONGEST_TTL_S)
