"""Conversions of single fields."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp


def to_timestamp(name: str, moment: datetime) -> Timestamp:
    """Returns a moment as protobuf holds it.

    Args:
        name: Of the argument, for the error.
        moment: An aware datetime.

    Raises:
        ValueError: The datetime is naive: which moment it means would depend on the machine.
    """
    if moment.utcoffset() is None:
        raise ValueError(f"{name} must be an aware datetime, such as datetime.now(UTC)")
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp


def from_timestamp(timestamp: Timestamp) -> datetime:
    """Returns a moment as an aware datetime in UTC.

    Args:
        timestamp: As protobuf holds it.
    """
    return timestamp.ToDatetime(tzinfo=UTC)


def to_strings(name: str, values: Iterable[str]) -> list[str]:
    """Returns the strings as a list.

    Args:
        name: Of the argument, for the error.
        values: Several strings.

    Raises:
        TypeError: One string was given: its letters would be taken for the strings.
    """
    if isinstance(values, str):
        raise TypeError(f"{name} must be several strings, not one")
    return list(values)
