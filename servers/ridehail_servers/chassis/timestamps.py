"""Moments on the wire and in Python."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp


def to_timestamp(moment: datetime | None) -> Timestamp | None:
    """Returns the moment as a message; None stays None.

    Args:
        moment: Aware.

    Raises:
        ValueError: The moment is naive.
    """
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp


def from_timestamp(timestamp: Timestamp) -> datetime:
    """Returns the moment as an aware datetime in UTC; a message finer than a microsecond is cut.

    Args:
        timestamp: Within the years 1 to 9999.
    """
    return timestamp.ToDatetime(tzinfo=UTC)
