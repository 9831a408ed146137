"""Tests of values for the generated quick checks. Each says yes only of what surely keeps its rule.

What Python prints is printable to protovalidate as well, which has tables of Unicode of its own: a test compares them.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Final, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from ridehail_kernel.text_rules import has_written_characters

_NANOS_PER_SECOND: Final = 1_000_000_000
_NANOS_PER_MICROSECOND: Final = 1000
# 0001-01-01T00:00:00Z
_MIN_SECONDS: Final = -62_135_596_800
# The rule has 300: the clock goes on until protovalidate would look at it.
_MAX_AHEAD_S: Final = 299
_MAX_LENGTH: Final = 128
_FIELD_PATH: Final = re.compile(r"[A-Za-z0-9_$-]{1,64}(?:[.][A-Za-z0-9_$-]{1,64})*").fullmatch
_MAX_PATH_LENGTH: Final = 512


class QuickCheck(NamedTuple):
    """The check of the messages of one type.

    Attributes:
        is_surely_valid: Takes a message. If it returns False, protovalidate has to judge.
        max_values: How many values (`request_limits`) a surely valid message holds at most beside its JSON; None: any
            number.
    """

    is_surely_valid: Callable[[Any], bool]
    max_values: int | None


NO_CHECK: Final = QuickCheck(lambda _message: False, None)
"""Of messages with a rule that has no translation."""


def is_id(value: str) -> bool:
    return 0 < len(value) <= _MAX_LENGTH and value.isprintable()


def are_ids(values: Iterable[str]) -> bool:
    texts = [*values]
    # Python's own loops: half the time of a call for each.
    return not texts or (all(texts) and len(max(texts, key=len)) <= _MAX_LENGTH and "".join(texts).isprintable())


def is_written_text(value: str) -> bool:
    # What is printable and no space is visible.
    return len(value) <= _MAX_LENGTH and value.isprintable() and has_written_characters(value) and value.strip() != ""


def is_field_path(value: str) -> bool:
    return len(value) <= _MAX_PATH_LENGTH and _FIELD_PATH(value) is not None


def matches(pattern: str, value: str) -> bool:
    """Says whether a pattern that begins with `^` matches a text up to its end."""
    return _matcher(pattern)(value) is not None


@cache
def _matcher(pattern: str) -> Callable[[str], re.Match[str] | None]:
    return re.compile(rf"{pattern}\Z").search


def is_timestamp(value: Timestamp) -> bool:
    return 0 <= value.nanos < _NANOS_PER_SECOND


def is_event_time(value: Timestamp) -> bool:
    return (
        is_timestamp(value)
        and value.nanos % _NANOS_PER_MICROSECOND == 0
        and _MIN_SECONDS <= value.seconds < time.time() + _MAX_AHEAD_S
    )
