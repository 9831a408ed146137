"""Timestamps that are none, wherever in a message they stand."""

from __future__ import annotations

import pytest
from google.api.distribution_pb2 import Distribution
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.context.attribute_context_pb2 import AttributeContext

from ridehail_servers.chassis.timestamp_validation import malformed_timestamps

BAD, GOOD = Timestamp(seconds=1, nanos=-1), Timestamp(seconds=-1, nanos=999_999_999)


def paths(message: Message) -> list[str]:
    return [violation.field for violation in malformed_timestamps(message)]


@pytest.mark.parametrize(
    ("message", "malformed"),
    [
        (BAD, [""]),
        (Timestamp(nanos=1_000_000_000), [""]),
        (GOOD, []),
        (Timestamp(), []),
        (Struct(), []),
        (AttributeContext(request=AttributeContext.Request(time=BAD)), ["request.time"]),
        (AttributeContext(request=AttributeContext.Request(time=GOOD)), []),
        (AttributeContext(resource={"labels": {"a": "b"}, "create_time": BAD}), ["resource.create_time"]),
        (
            Distribution(exemplars=[{"timestamp": GOOD}, {"timestamp": BAD}, {"timestamp": BAD}]),
            ["exemplars[1].timestamp", "exemplars[2].timestamp"],
        ),
    ],
)
def test_malformed_moments_are_found_by_path(message: Message, malformed: list[str]) -> None:
    assert paths(message) == malformed
