"""Titles and texts are in the language that the user likes best of those that are there."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ridehail_servers.chassis.locale_choice import preferred_languages, text_in

TEXTS = {
    "en": "English",
    "he": "Hebrew",
    "ru": "Russian",
    "pt-br": "Brazilian",
    "zh-hant": "Traditional",
    "id": "Bahasa",
}

CHOICES = {
    "": "English",
    "he": "Hebrew",
    "HE-il": "Hebrew",
    "iw-IL": "Hebrew",
    "in": "Bahasa",
    "fr": "English",
    "fr, ru": "Russian",
    "ru;q=0.5, he;q=0.9": "Hebrew",
    "ru;q=0.5,he;q=0.50": "Russian",
    "ru ; q=0.1 , he ; q=0.2": "Hebrew",
    "he;q=0, ru;q=0.001": "Russian",
    "he;q=0.000": "English",
    "*": "English",
    "*, ru;q=0.1": "Russian",
    "pt": "English",
    "pt-BR": "Brazilian",
    "pt-BR-x-informal": "Brazilian",
    "zh-Hant-TW": "Traditional",
    "zh-Hans": "English",
    "ru-RU, ru;q=0.9, en-US;q=0.8, en;q=0.7": "Russian",
    "en-GB;q=0.9, ru;q=0.8": "English",
    "he;q=2, ru": "Russian",
    "he;q=abc, ru": "Russian",
    "he;level=1, ru": "Russian",
    ", ,;;, ru": "Russian",
    "русский, ru": "Russian",
    "x" * 9 + ", ru": "Russian",
    "fr," * 85 + "ru": "English",
}


@pytest.mark.parametrize(("accept_language", "expected"), CHOICES.items())
def test_the_best_liked_language_that_is_there_is_chosen(accept_language: str, expected: str) -> None:
    assert text_in(TEXTS, preferred_languages(accept_language)) == expected


def test_what_is_not_there_in_english_either_is_empty() -> None:
    assert text_in({}, preferred_languages("ru")) == ""
    assert text_in({"ru": "Russian"}, preferred_languages("he")) == ""


@given(st.one_of(st.text(), st.text(alphabet="aeruh-;q=0.1,* \t", max_size=300)))
@example("a;" + "q=" * 100_000)
@example("a-" * 100_000)
@example(" " * 100_000)
def test_whatever_an_app_sends_a_text_is_shown(accept_language: str) -> None:
    assert text_in(TEXTS, preferred_languages(accept_language)) in TEXTS.values()
    assert len(preferred_languages(accept_language)) <= 256
