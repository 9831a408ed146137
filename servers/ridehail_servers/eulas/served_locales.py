"""Whether an agreement has its words in every language that is served."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .eula_catalogue import Eula


def missing_texts(eula: Eula, locales: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yields the field and the language of each text that an agreement lacks, `title` or `text`.

    An agreement without any text has all of it at its URL, and lacks none. A language is served by texts in just that
    language: who asks for `he-IL` reads `he`, but not the other way round.

    Args:
        eula: The agreement.
        locales: The languages that are served, in lower case.
    """
    for locale in locales:
        if not eula.title.get(locale):
            yield "title", locale
        if any(eula.text.values()) and not eula.text.get(locale):
            yield "text", locale
