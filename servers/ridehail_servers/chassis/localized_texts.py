"""Texts by language, as configuration files hold them."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

from .locale_choice import FALLBACK
from .text_rules import Text

_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")


def _checked_language(value: str) -> str:
    if not _LANGUAGE.fullmatch(value):
        raise PydanticCustomError("language", "must be a language tag such as en or pt-BR")
    return value


def _checked_languages(value: object) -> object:
    # YAML takes Norwegian for false.
    if isinstance(value, dict) and not all(isinstance(language, str) for language in value):
        raise PydanticCustomError("languages", "a language is not text; put it into quotes")
    return value


def _checked_texts(value: dict[str, str]) -> dict[str, str]:
    if len({language.lower() for language in value}) < len(value):
        raise PydanticCustomError("languages", "a language is given twice")
    return value


def _checked_title(value: dict[str, str]) -> dict[str, str]:
    if not by_lower_case(value).get(FALLBACK):
        raise PydanticCustomError("title", "a title in en is required")
    return value


Language = Annotated[str, AfterValidator(_checked_language)]
"""A language tag, as in `pt-BR`."""

Texts = Annotated[
    dict[Language, Text],
    BeforeValidator(_checked_languages),
    AfterValidator(_checked_texts),
]
"""Language tag -> text; any languages, or none."""

Titles = Annotated[Texts, AfterValidator(_checked_title)]
"""Texts of which the English one is required, since it is what others see."""


def by_lower_case(texts: dict[str, str]) -> dict[str, str]:
    """Returns the texts as `locale_choice.text_in` takes them: by language in lower case."""
    return {language.lower(): text for language, text in texts.items()}
