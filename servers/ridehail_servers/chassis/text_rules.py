"""The contracts' rules for ids and for texts that people write, for configuration files."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, StringConstraints
from pydantic_core import PydanticCustomError

from ridehail_kernel.text_rules import has_written_characters, is_id


def _checked_id(value: str) -> str:
    if not is_id(value):
        raise PydanticCustomError("id", "must be 1 to 128 printable characters")
    return value


def _checked_text(value: str) -> str:
    # Texts of files may have lines.
    if not has_written_characters(value.replace("\n", "")):
        raise PydanticCustomError("text", "must be characters that people write")
    return value


Id = Annotated[str, AfterValidator(_checked_id)]
"""1 to 128 printable characters, of all separators the space alone."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(_checked_id)]
"""An id, whose length is refused in words of its own."""

Text = Annotated[str, AfterValidator(_checked_text)]
"""What people write, in any number of lines; may be empty."""
