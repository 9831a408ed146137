"""Decides the caption of a shared ride's card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict
from pydantic_core import PydanticCustomError

from ridehail_servers.chassis.locale_choice import text_in
from ridehail_servers.chassis.localized_texts import Titles, by_lower_case

from .ride import FamilyRide

ADMIN_NAME: Final = "{admin_name}"
"""Stands in a caption for how the family calls its admin."""


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
        # A misspelt placeholder would be shown as it is.
        if caption.count(ADMIN_NAME) != 1 or set(caption.replace(ADMIN_NAME, "")) & set("{}"):
            message = "the caption in {language} must hold {placeholder} once, and no other brace"
            raise PydanticCustomError("caption", message, {"language": language, "placeholder": ADMIN_NAME})
    return value


class Captions(BaseModel):
    """The captions by language, which becomes lower case; English is required, since it is what others see.

    Attributes:
        default: For a ride that is shared with no family now.
        family: For one that is; each holds `ADMIN_NAME`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    default: Annotated[Titles, AfterValidator(_checked_default), AfterValidator(by_lower_case)]
    family: Annotated[Titles, AfterValidator(_checked_family), AfterValidator(by_lower_case)]


def popup_title(captions: Captions, family: FamilyRide | None, languages: Sequence[str]) -> str:
    """Returns the caption of a ride in the first of the languages that there is, else in English."""
    if family is None or not family.sharing_on:
        return text_in(captions.default, languages)
    # The name is whatever somebody called themselves: it is put in as it is, and never read as a template.
    return text_in(captions.family, languages).replace(ADMIN_NAME, family.admin_name)
