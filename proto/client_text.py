"""Converts the contracts' comments to docstrings."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable


def paragraphs(comment: str) -> list[str]:
    """Returns the paragraphs of a comment, and the items of its lists, each as one line."""
    blocks = re.split(r"\n\s*\n|\n(?=- )", comment.strip())
    return [" ".join(block.split()) for block in blocks if block.strip()]


def plain(comment: str) -> str:
    """Returns the comment of a field as one line, without what the type says as well."""
    first, *others = paragraphs(comment) or [""]
    items = "; ".join(one.removeprefix("- ") for one in others if one.startswith("- "))
    text = " ".join([first, *(one for one in others if not one.startswith("- ")), *([f"{items}."] if items else [])])
    return without_required(text)


def without_required(text: str) -> str:
    """Returns the comment of a field without what it says of being required."""
    text = re.sub(r"\s*\bRequired(: [^.]*)?\.(?=\s|$)", "", text)
    return re.sub(r"\bRequired[,;] (\w)", lambda match: match[1].upper(), text).strip()


def capitalized(text: str) -> str:
    """Returns a text that begins like a sentence; names in code stay as they are."""
    return text if re.match(r"\w*_", text) else text[:1].upper() + text[1:]


def wrapped(sections: Iterable[str], *, indent: int) -> str:
    """Returns the text of a docstring.

    Args:
        sections: Paragraphs; items begin with `- `, the entries of the header before them with four spaces.
        indent: Columns before its first line.
    """
    lines: list[str] = []
    previous = ""
    for one in sections:
        lead = "    " if one.startswith("    ") else ""
        hanging = "        " if lead else "  " if one.startswith("- ") else ""
        is_close = bool(lead) or (hanging and previous.startswith("- "))
        if lines and not is_close:
            lines.append("")
        lines += textwrap.wrap(
            one.strip().replace("\\", "\\\\"),
            width=119 - indent,
            initial_indent=lead,
            subsequent_indent=hanging,
            break_long_words=False,
            break_on_hyphens=False,
        )
        previous = one
    text = "\n".join(f"{' ' * indent}{line}" if line else "" for line in lines).strip()
    return text if len(lines) == 1 else f"{text}\n{' ' * indent}"
