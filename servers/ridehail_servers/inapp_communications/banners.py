"""Which banners a rider is shown in the card of a ride."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ridehail_servers.chassis.locale_choice import preferred_languages, text_in


class Toggle(StrEnum):
    """What the toggle of a banner switches."""

    SHARE_RIDE_WITH_FAMILY = "share_ride_with_family"
    """Whether the ride is shared with the rider's family."""


@dataclass(frozen=True, slots=True)
class Banner:
    """A banner, as it is configured.

    Attributes:
        id: Its name.
        toggle: What its toggle switches; None: it has none.
        titles: By language, in lower case.
        texts: By language, in lower case; empty: none.
        image_url: The picture; empty: none.
    """

    id: str
    toggle: Toggle | None
    titles: Mapping[str, str]
    texts: Mapping[str, str]
    image_url: str


@dataclass(frozen=True, slots=True)
class BannerSet:
    """Banners that are shown together.

    Attributes:
        name: Of the set.
        family_roles: Of those who are shown them; None: everybody is.
        banners: In the order in which they are shown.
    """

    name: str
    family_roles: frozenset[str] | None
    banners: Sequence[Banner]


@dataclass(frozen=True, slots=True)
class ShownBanner:
    """A banner, as a rider sees it.

    Attributes:
        id: Its name.
        title: In the rider's language.
        text: In the rider's language; empty: none.
        image_url: The picture; empty: none.
        is_selected: The state of its toggle; None: it has none.
    """

    id: str
    title: str
    text: str
    image_url: str
    is_selected: bool | None


def chosen_set(sets: Sequence[BannerSet], family_role: str) -> BannerSet | None:
    """Returns the first set that is for riders with this role; None: there is none.

    Args:
        sets: As they are configured.
        family_role: The rider's role in a family; empty: in none.
    """
    for one in sets:
        if one.family_roles is None or family_role in one.family_roles:
            return one
    return None


def without_toggles(banners: Sequence[Banner], toggle: Toggle) -> Sequence[Banner]:
    """Returns the banners that do not have this toggle.

    Args:
        banners: In any order, which stays.
        toggle: What cannot be switched.
    """
    return [banner for banner in banners if banner.toggle is not toggle]


def shown(banners: Sequence[Banner], states: Mapping[Toggle, bool], locale: str) -> Sequence[ShownBanner]:
    """Returns the banners as a rider sees them.

    Args:
        banners: In the order in which they are shown.
        states: The state of each toggle that one of them has.
        locale: The languages, as in the header Accept-Language; what there is in none of them is shown in English.
    """
    languages = preferred_languages(locale)
    return [
        ShownBanner(
            id=banner.id,
            title=text_in(banner.titles, languages),
            text=text_in(banner.texts, languages),
            image_url=banner.image_url,
            is_selected=None if banner.toggle is None else states[banner.toggle],
        )
        for banner in banners
    ]
