"""The content of `inapp.yaml`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, HttpUrl, TypeAdapter
from pydantic_core import PydanticCustomError

from ridehail_servers.chassis.localized_texts import Texts, Titles, by_lower_case
from ridehail_servers.chassis.text_rules import Name

from .banners import Banner, BannerSet, Toggle

_URL = TypeAdapter(HttpUrl)


def _checked_url(value: str) -> str:
    if value:
        _URL.validate_python(value)
    return value


class ConfiguredBanner(BaseModel):
    """A banner, as it is written in the file.

    Attributes:
        id: Its name.
        toggle: What its toggle switches; left out: it has none.
        title: By language; English is required, since it is what others see.
        text: By language.
        image_url: The picture, by http or https; empty: none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Name
    toggle: Toggle | None = None
    title: Titles
    text: Texts = {}
    image_url: Annotated[str, AfterValidator(_checked_url)] = ""

    def banner(self) -> Banner:
        """Returns the banner as the rules know it."""
        return Banner(self.id, self.toggle, by_lower_case(self.title), by_lower_case(self.text), self.image_url)


def _checked_banners(banners: tuple[ConfiguredBanner, ...]) -> tuple[ConfiguredBanner, ...]:
    if len({banner.id for banner in banners}) < len(banners):
        raise PydanticCustomError("banners", "a banner is given twice")
    return banners


class ConfiguredSet(BaseModel):
    """A set of banners, as it is written in the file.

    Attributes:
        name: Of the set; `api_proxy.yaml` says by it for how long its banners are kept.
        family_roles: Of those who are shown it; left out: everybody is.
        banners: In the order in which they are shown.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    family_roles: Annotated[tuple[Literal["user", "owner"], ...], Field(min_length=1)] | None = None
    banners: Annotated[tuple[ConfiguredBanner, ...], AfterValidator(_checked_banners)]

    def banner_set(self) -> BannerSet:
        """Returns the set as the rules know it."""
        roles = None if self.family_roles is None else frozenset[str](self.family_roles)
        return BannerSet(self.name, roles, tuple(banner.banner() for banner in self.banners))


def _checked_sets(sets: tuple[ConfiguredSet, ...]) -> tuple[ConfiguredSet, ...]:
    if len({one.name for one in sets}) < len(sets):
        raise PydanticCustomError("banner_sets", "a set is given twice")
    return sets


class InappConfig(BaseModel):
    """The content of `inapp.yaml`.

    Attributes:
        banner_sets: A rider is shown the first that is for the rider's role.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    banner_sets: Annotated[tuple[ConfiguredSet, ...], AfterValidator(_checked_sets)]

    @cached_property
    def sets(self) -> Sequence[BannerSet]:
        """The sets as the rules know them."""
        return tuple(one.banner_set() for one in self.banner_sets)
