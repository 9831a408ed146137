"""Selects the banners of a ride, with the true state of their toggles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import Counter

from .banners import Banner, BannerSet, ShownBanner, Toggle, chosen_set, shown, without_toggle

MOVED_TOGGLES = Counter(
    "ridehail_inapp_moved_toggles",
    "Toggles that a rider has just moved, by whether route_sharing has it so.",
    ("stored",),
)


class SharingStates(Protocol):
    """Looks up whom rides are shared with."""

    async def is_shared_with_family(self, sharing_key: str) -> bool | None:
        """Returns whether a ride is shared with the rider's family, or None without a response in time."""


@dataclass(frozen=True, slots=True)
class RidePromos:
    """The banners of a ride, in the order in which they are shown, and the name of their set; empty: of none."""

    banners: Sequence[ShownBanner]
    banner_set: str


NONE = RidePromos((), "")


class PromoSelection:
    """Selects banners.

    Args:
        sets: Returns the configured sets.
        sharing: Looks up whom rides are shared with.
    """

    def __init__(self, sets: Callable[[], Sequence[BannerSet]], sharing: SharingStates) -> None:
        self._sets = sets
        self._sharing = sharing

    async def promos(
        self, *, sharing_key: str, share_ride_with_family: bool | None, family_role: str, locale: str
    ) -> RidePromos:
        """Returns the banners of a ride; none while the state of one's toggle is unknown.

        Args:
            sharing_key: The key under which the ride can be shared; empty: it has none.
            share_ride_with_family: To what the rider has just moved the toggle, if at all. What is stored is shown
                nevertheless; a difference is counted.
            family_role: The rider's role in a family; empty: in none.
            locale: The rider's languages, as in the header Accept-Language.
        """
        chosen = chosen_set(self._sets(), family_role)
        if chosen is None:
            return NONE
        banners: Sequence[Banner] = chosen.banners
        states: dict[Toggle, bool] = {}
        if not sharing_key:
            banners = without_toggle(banners, Toggle.SHARE_RIDE_WITH_FAMILY)
        elif any(banner.toggle is Toggle.SHARE_RIDE_WITH_FAMILY for banner in banners):
            is_shared = await self._sharing.is_shared_with_family(sharing_key)
            if is_shared is None:
                return NONE
            if share_ride_with_family is not None:
                MOVED_TOGGLES.labels("yes" if is_shared == share_ride_with_family else "no").inc()
            states[Toggle.SHARE_RIDE_WITH_FAMILY] = is_shared
        return RidePromos(shown(banners, states, locale), chosen.name)
