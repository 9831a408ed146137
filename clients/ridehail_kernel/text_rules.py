"""What ids and texts that people write may hold: the rules `id` and `written_text` of the contracts, in Python."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

MAX_LENGTH: Final = 128
"""Characters (code points) of an id, and of a text that people write."""

# Controls, separators of lines and paragraphs, private use, invisible spaces, embeddings, overrides and isolates of
# direction, deprecated and interlinear controls, noncharacters. Joiners (U+200C, U+200D, U+2060), marks of direction
# (U+200E, U+200F, U+061C), the soft hyphen and tags of emoji are what people write.
_NOT_WRITTEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2061-\u206f\ud800-\udfff\ue000-\uf8ff\ufdd0-\ufdef\ufeff\ufff9-\uffff"
    "\U000f0000-\U0010ffff]"
)


def is_id(value: str) -> bool:
    """Returns whether the text is an id: 1 to 128 printable characters, of all separators the space alone."""
    if not 1 <= len(value) <= MAX_LENGTH:
        return False
    # Nearly all ids are printable to Python, which finds out a hundred times faster: lists have thousands of them.
    return value.isprintable() or all(character == " " or _is_printable(character) for character in value)


def is_written_text(value: str) -> bool:
    """Returns whether the text is one that people write, such as a name: 1 to 128 characters, one of them visible.

    Letters of any script, with the joiners, marks and hyphens that scripts need, and emoji.
    """
    return 1 <= len(value) <= MAX_LENGTH and has_written_characters(value) and any(map(_is_visible, value))


def has_written_characters(value: str) -> bool:
    """Returns whether all characters of a text are such that people write."""
    return _NOT_WRITTEN.search(value) is None


# Characters that are not assigned are accepted: the contracts are judged by another table of Unicode than this one.
_UNPRINTABLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Zs", "Zl", "Zp"})
_INVISIBLE: Final = _UNPRINTABLE - {"Cs", "Co"}


def _is_printable(character: str) -> bool:
    return unicodedata.category(character) not in _UNPRINTABLE


def _is_visible(character: str) -> bool:
    return unicodedata.category(character) not in _INVISIBLE
