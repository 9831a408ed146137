"""Decides which banners a rider sees in the card of a ride."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, HttpUrl, TypeAdapter
from pydantic_core import PydanticCustomError

from ridehail_servers.chassis.locale_choice import preferred_languages, text_in
from ridehail_servers.chassis.localized_texts import Texts, Titles, by_lower_case
from ridehail_servers.chassis.text_rules import Name

_URL = TypeAdapter(HttpUrl)


class Toggle(StrEnum):
    """What the toggle of a banner switches."""

    SHARE_RIDE_WITH_FAMILY = "share_ride_with_family"
    """Whether the ride is shared with the rider's family."""


def _checked_url(value: str) -> str:
    if value:
        _URL.validate_python(value)
    return value


class Banner(BaseModel):
    """A banner of `inapp.yaml`. Texts are by language, which becomes lower case.

    Attributes:
        toggle: What its toggle switches, or None if it has none.
        title: English is required, since it is what others see.
        image_url: The picture, by http or https; empty: none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Name
    toggle: Toggle | None = None
    title: Annotated[Titles, AfterValidator(by_lower_case)]
    text: Annotated[Texts, AfterValidator(by_lower_case)] = {}
    image_url: Annotated[str, AfterValidator(_checked_url)] = ""


def _checked_banners(banners: tuple[Banner, ...]) -> tuple[Banner, ...]:
    if len({banner.id for banner in banners}) < len(banners):
        raise PydanticCustomError("banners", "a banner is given twice")
    return banners


class BannerSet(BaseModel):
    """Banners of `inapp.yaml` that are shown together, in this order.

    Attributes:
        name: `api_proxy.yaml` says by it for how long the banners are kept.
        family_roles: Of those who see it, or None if everybody does.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    family_roles: Annotated[frozenset[Literal["user", "owner"]], Field(min_length=1)] | None = None
    banners: Annotated[tuple[Banner, ...], AfterValidator(_checked_banners)]


@dataclass(frozen=True, slots=True)
class ShownBanner:
    """A banner as a rider sees it, in the rider's language.

    Attributes:
        text: Empty: none.
        image_url: Empty: none.
        is_selected: The state of its toggle, or None if it has none.
    """

    id: str
    title: str
    text: str
    image_url: str
    is_selected: bool | None


def chosen_set(sets: Sequence[BannerSet], family_role: str) -> BannerSet | None:
    """Returns the first set that is for riders with this role (empty: in no family), or None if there is none."""
    return next((one for one in sets if one.family_roles is None or family_role in one.family_roles), None)


def without_toggle(banners: Sequence[Banner], toggle: Toggle) -> Sequence[Banner]:
    """Returns the banners that do not have this toggle."""
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
            title=text_in(banner.title, languages),
            text=text_in(banner.text, languages),
            image_url=banner.image_url,
            is_selected=None if banner.toggle is None else states[banner.toggle],
        )
        for banner in banners
    ]
