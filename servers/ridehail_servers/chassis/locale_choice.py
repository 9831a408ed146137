"""In which language a user reads.

The header Accept-Language (RFC 9110, section 12.5.4), matched by the lookup of RFC 4647, section 3.4: "he-IL" finds
"he-IL", else "he". A range that only excludes (q=0), or that matches everything ("*"), chooses nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

FALLBACK = "en"
_MAX_HEADER_LENGTH = 256
_RANGE = re.compile(
    r"([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)(?:[ \t]*;[ \t]*q[ \t]*=[ \t]*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?))?"
)
# Java, and so old Androids, still call these languages by the codes that ISO withdrew in 1989.
_RENAMED = {"iw": "he", "in": "id", "ji": "yi"}


@lru_cache(maxsize=1024)
def preferred_languages(accept_language: str) -> tuple[str, ...]:
    """Returns the language tags of a header to try, in lower case, best first.

    What cannot be read is skipped; only the first 256 characters count.
    """
    ranges: list[tuple[float, str]] = []
    for part in accept_language[:_MAX_HEADER_LENGTH].split(","):
        match = _RANGE.fullmatch(part.strip())
        quality = float(match[2] or 1) if match else 0
        if match and quality > 0:
            ranges.append((quality, match[1].lower()))
    ranges.sort(key=lambda one: -one[0])  # stable: of equal ones the first comes first
    return tuple(dict.fromkeys(tag for _quality, one in ranges for tag in _shortened(one)))


def text_in(texts: Mapping[str, str], languages: Sequence[str]) -> str:
    """Returns the text in the first of the languages that it is there in, else in English, else nothing."""
    for language in languages:
        if language in texts:
            return texts[language]
    return texts.get(FALLBACK, "")


def _shortened(tag: str) -> list[str]:
    """Returns the tag and what is left of it without its last parts, one after the other."""
    language, *rest = tag.split("-")
    parts = [_RENAMED.get(language, language), *rest]
    # A part of one letter only introduces the next.
    return [
        "-".join(parts[:length]) for length in range(len(parts), 0, -1) if length == 1 or len(parts[length - 1]) > 1
    ]
