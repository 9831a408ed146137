"""The content of `route_sharing.yaml`."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from ridehail_servers.chassis.localized_texts import Titles, by_lower_case

from .popup_title import ADMIN_NAME, Captions

_YEAR_H = 366 * 24


def _checked_default(value: dict[str, str]) -> dict[str, str]:
    for language, caption in value.items():
        if not caption.strip():
            raise PydanticCustomError("caption", "the caption in {language} is empty", {"language": language})
        if set(caption) & set("{}"):
            message = "the caption in {language} holds a brace; nothing is put in here"
            raise PydanticCustomError("caption", message, {"language": language})
    return value


def _checked_family(value: dict[str, str]) -> dict[str, str]:
    for language, caption in value.items():
        # A misspelt place would be shown as it is.
        if caption.count(ADMIN_NAME) != 1 or set(caption.replace(ADMIN_NAME, "")) & set("{}"):
            message = "the caption in {language} must hold {place} once, and no other brace"
            raise PydanticCustomError("caption", message, {"language": language, "place": ADMIN_NAME})
    return value


class PopupTitle(BaseModel):
    """The captions of a shared ride's card, by language; English is required, since it is what others see.

    Attributes:
        default: For a ride that is shared with no family now.
        family: For one that is, with `{admin_name}` where the admin's name belongs.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    default: Annotated[Titles, AfterValidator(_checked_default)]
    family: Annotated[Titles, AfterValidator(_checked_family)]


class RouteSharingConfig(BaseModel):
    """The content of `route_sharing.yaml`.

    Attributes:
        kept_h: Hours after which a ride is deleted.
        popup_title: The captions.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kept_h: int = Field(default=168, strict=True, ge=1, le=_YEAR_H)
    popup_title: PopupTitle

    @cached_property
    def captions(self) -> Captions:
        """The captions as the rule knows them."""
        return Captions(by_lower_case(self.popup_title.default), by_lower_case(self.popup_title.family))
