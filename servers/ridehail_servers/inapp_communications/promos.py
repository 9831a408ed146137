"""The banners of a ride, with the true state of their toggles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from .banners import Banner, BannerSet, ShownBanner, Toggle, chosen_set, shown, without_toggles


class Sharing(Protocol):
    """Knows whom rides are shared with."""

    async def is_shared_with_family(self, sharing_key: str) -> bool | None:
        """Tells whether a ride is shared with the rider's family; None when that cannot be told in time."""


@dataclass(frozen=True, slots=True)
class Ride:
    """Whose card is shown.

    Attributes:
        sharing_key: The key under which the ride can be shared; empty: it has none.
        family_role: The rider's role in a family; empty: in none.
        locale: The rider's languages, as in the header Accept-Language.
    """

    sharing_key: str
    family_role: str
    locale: str


@dataclass(frozen=True, slots=True)
class RidePromos:
    """The banners of a ride.

    Attributes:
        banners: In the order in which they are shown.
        banner_set: The name of the set that they are of; empty: of none.
    """

    banners: Sequence[ShownBanner]
    banner_set: str


NONE = RidePromos((), "")


class Promos:
    """Tells the banners of rides.

    Args:
        sets: Returns the configured sets.
        sharing: Knows whom rides are shared with.
    """

    def __init__(self, sets: Callable[[], Sequence[BannerSet]], sharing: Sharing) -> None:
        self._sets = sets
        self._sharing = sharing

    async def of(self, ride: Ride) -> RidePromos:
        """Returns the banners of a ride; none while the state of one's toggle cannot be told.

        Args:
            ride: The ride.
        """
        chosen = chosen_set(self._sets(), ride.family_role)
        if chosen is None:
            return NONE
        banners: Sequence[Banner] = chosen.banners
        states: dict[Toggle, bool] = {}
        if not ride.sharing_key:
            banners = without_toggles(banners, Toggle.SHARE_RIDE_WITH_FAMILY)
        elif any(banner.toggle is Toggle.SHARE_RIDE_WITH_FAMILY for banner in banners):
            is_shared = await self._sharing.is_shared_with_family(ride.sharing_key)
            if is_shared is None:
                return NONE
            states[Toggle.SHARE_RIDE_WITH_FAMILY] = is_shared
        return RidePromos(shown(banners, states, ride.locale), chosen.name)
