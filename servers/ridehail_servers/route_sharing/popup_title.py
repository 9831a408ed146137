"""The caption of a shared ride's card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ridehail_servers.chassis.locale_choice import text_in

from .ride import FamilyRide

ADMIN_NAME: Final = "{admin_name}"
"""Stands in a caption for how the family calls its admin."""


@dataclass(frozen=True, slots=True)
class Captions:
    """The captions, by language in lower case.

    Attributes:
        default: For a ride that is shared with no family now.
        family: For one that is; each holds `ADMIN_NAME`.
    """

    default: Mapping[str, str]
    family: Mapping[str, str]


def popup_title(captions: Captions, family: FamilyRide | None, languages: Sequence[str]) -> str:
    """Returns the caption.

    Args:
        captions: As configured.
        family: How the ride is shared with a family.
        languages: Of `locale_choice.preferred_languages`.
    """
    if family is None or not family.sharing_on:
        return text_in(captions.default, languages)
    # The name is whatever somebody called themselves: it is put in as it is, and never read as a template.
    return text_in(captions.family, languages).replace(ADMIN_NAME, family.admin_name)
