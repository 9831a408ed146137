"""What `api_proxy.yaml` says about the card of a ride under way."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ridehail_servers.chassis.text_rules import Name

from .promo_cache import MAX_TTL_S

_Milliseconds = Annotated[int, Field(ge=1, le=10_000)]

# Banners of a set that is not listed are cached for as long as these.
_DEFAULT = "default"


class CardTimeouts(BaseModel):
    """Timeouts of the services that the card of a ride needs, in milliseconds.

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


class CacheControl(BaseModel):
    """For how many seconds the banners of a set are cached; 0: not at all."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    ttl_s: int = Field(ge=0, le=MAX_TTL_S)


def _require_default(by_set: dict[str, CacheControl]) -> dict[str, CacheControl]:
    if _DEFAULT not in by_set:
        raise ValueError(f"{_DEFAULT} is missing")
    return by_set


class CardConfig(BaseModel):
    """How the card of a ride is put together. In the file the names are in capitals.

    Attributes:
        taxi_on_the_way: Timeouts of the services that the card needs.
        inapp_totw_stories_cache_control: Set of banners -> for how long they are cached; `default`: any other set's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=str.upper)

    taxi_on_the_way: CardTimeouts
    inapp_totw_stories_cache_control: Annotated[dict[Name, CacheControl], AfterValidator(_require_default)]

    def promos_ttl_s(self, banner_set: str) -> int:
        """Returns for how many seconds banners are cached; 0: not at all.

        Args:
            banner_set: The set that they are of. Empty: of none, perhaps because inapp could not find out.
        """
        if not banner_set:
            return 0
        by_set = self.inapp_totw_stories_cache_control
        return by_set.get(banner_set, by_set[_DEFAULT]).ttl_s
