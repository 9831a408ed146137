"""The content of `inapp.yaml`."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict
from pydantic_core import PydanticCustomError

from .banners import BannerSet


def _checked_sets(sets: tuple[BannerSet, ...]) -> tuple[BannerSet, ...]:
    if len({one.name for one in sets}) < len(sets):
        raise PydanticCustomError("banner_sets", "a set is given twice")
    return sets


class InappConfig(BaseModel):
    """The content of `inapp.yaml`.

    Attributes:
        banner_sets: A rider sees the first that is for the rider's role.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    banner_sets: Annotated[tuple[BannerSet, ...], AfterValidator(_checked_sets)]
