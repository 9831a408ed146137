"""The lines of another database's dump of decisions."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from ridehail_servers.chassis.text_rules import Id

MAX_LINE_BYTES = 65_536
"""Five times what the longest possible decision takes; keys that are ignored may be long."""

MAX_CLOCK_SKEW = timedelta(minutes=5)
"""How far the clock of the database that was dumped may have been ahead."""

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


class BadLine(Exception):
    """The line is no decision; the message says why, and quotes nothing of it."""


def _checked_format(value: object) -> object:
    # Numbers, dates without a time and times without a zone do not say exactly when.
    if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
        raise PydanticCustomError("timestamp", "must be a time with its zone as in 2026-11-21T05:18:48.123456Z")
    return value


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("timestamp", "must be within the years 1 to 9999 (UTC)") from None


_Timestamp = Annotated[AwareDatetime, BeforeValidator(_checked_format), AfterValidator(_in_utc)]


class DumpLine(BaseModel):
    """A decision as it is dumped. Other keys are ignored: old tables have more columns.

    Attributes:
        yandex_uid: The user.
        eula_id: The agreement; need not be configured.
        status: What the user decided.
        updated_at: When the user decided; UTC.
        valid_till: From then on the decision no longer counts; UTC.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    yandex_uid: Id
    eula_id: Id
    status: Literal["accepted", "rejected"]
    updated_at: _Timestamp
    valid_till: _Timestamp


def parse(text: bytes, now: datetime) -> DumpLine:
    """Parses a line.

    Args:
        text: The line.
        now: Aware.

    Raises:
        BadLine: It is not JSON, lacks a key, or has an impossible value.
    """
    if len(text) > MAX_LINE_BYTES:
        raise BadLine(f"longer than {MAX_LINE_BYTES} bytes")
    try:
        line = DumpLine.model_validate_json(text)
    except ValidationError as error:
        raise BadLine(_reason(error)) from None
    if line.updated_at > now + MAX_CLOCK_SKEW:
        raise BadLine("updated_at: is in the future")
    if line.valid_till <= line.updated_at:
        raise BadLine("valid_till: must be after updated_at")
    return line


def _reason(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(": ".join([*map(str, problem["loc"]), problem["msg"]]) for problem in problems)
