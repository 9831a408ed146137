"""The header Accept-Language, as other services take it."""

from __future__ import annotations

# Of a header of thousands of characters they take only so many; the languages that are liked best come first.
_LONGEST = 256


def shortened(locale: str) -> str:
    """Returns the first languages of a header, none of them cut in two.

    Args:
        locale: As the app sent it.
    """
    if len(locale) <= _LONGEST:
        return locale
    return locale[: _LONGEST + 1].rpartition(",")[0]
