"""Times on the wire and in Python."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

_EPOCH = datetime.fromtimestamp(0, UTC)
_SECONDS_PER_DAY = 86_400


def to_timestamp(time: datetime | None) -> Timestamp | None:
    """Returns an aware datetime as a message, and None as None; raises `ValueError` if it is naive."""
    if time is None:
        return None
    if time.tzinfo is None:
        raise ValueError("a timestamp needs a time zone")
    # A third of the time that `FromDatetime` takes.
    since_epoch = time - _EPOCH
    return Timestamp(
        seconds=since_epoch.days * _SECONDS_PER_DAY + since_epoch.seconds, nanos=since_epoch.microseconds * 1000
    )


def from_timestamp(timestamp: Timestamp) -> datetime:
    """Returns a timestamp of the years 1 to 9999 as a datetime in UTC, cut to microseconds."""
    return timestamp.ToDatetime(tzinfo=UTC)
