"""Whatever field of whatever request is wrong: the server names it, and no handler is reached."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from ridehail._third_party.buf.validate import validate_pb2
from ridehail_servers import resources
from ridehail_servers.chassis.access import AccessPolicy
from ridehail_servers.chassis.config import load
from tests.support.calls import failure_of, rpcs
from tests.support.contract_rules import broken_rules
from tests.support.recorded_suite import RecordedSuite

# No id, nothing that people write, none of a list, and longer than any text may be.
WRONG = "\0" * 300
# A part of a part of a request.
MAX_DEPTH = 3


def wrong_messages(of: Descriptor, depth: int = MAX_DEPTH) -> Iterator[tuple[Message, str]]:
    """Yields messages with one wrong text or list each, and the path to it. What has no rules is left alone."""
    for field in of.fields:
        inner = field.message_type
        if inner is not None and inner.GetOptions().map_entry:
            continue  # keys are named by content; the chassis' own tests have them
        if inner is not None and inner.file.package.startswith("ridehail.") and depth:
            for part, path in wrong_messages(inner, depth - 1):
                yield within(of, field, part), f"{field.name}{'[0]' if field.is_repeated else ''}.{path}"
        rules = field.GetOptions().Extensions[validate_pb2.field]
        if field.type == FieldDescriptor.TYPE_STRING and field.GetOptions().HasExtension(validate_pb2.field):
            yield within(of, field, WRONG), f"{field.name}{'[0]' if field.is_repeated else ''}"
        if rules.repeated.max_items:
            yield too_many(of, field, rules.repeated.max_items + 1), field.name


def within(of: Descriptor, field: FieldDescriptor, value: Message | str) -> Message:
    """Returns a message with a value in one of its fields."""
    message = GetMessageClass(of)()
    if field.is_repeated:
        getattr(message, field.name).append(value)
    elif isinstance(value, Message):
        getattr(message, field.name).CopyFrom(value)
    else:
        setattr(message, field.name, value)
    return message


def too_many(of: Descriptor, field: FieldDescriptor, number: int) -> Message:
    """Returns a message with so many elements in one of its lists."""
    message = GetMessageClass(of)()
    elements = getattr(message, field.name)
    for count in range(number):
        if field.message_type is None:
            elements.append(str(count))
        else:
            elements.add()
    return message


async def test_each_rule_of_each_request_is_kept(recorded_suite: RecordedSuite) -> None:
    access = load(resources.folder("config") / "access.yaml", AccessPolicy)
    tried = 0
    for rpc in rpcs():
        if rpc.by_gateway_key:
            continue
        metadata = recorded_suite.metadata(min(access.methods[rpc.name]), rpc.service)
        for request, path in wrong_messages(rpc.method.input_type):
            case = f"{rpc.name}: {path}"
            rules = {rule for field, rule in broken_rules(request) if field == path}
            assert rules, f"{case} may be anything"
            error = await failure_of(recorded_suite.channel, rpc.path, request, metadata=metadata)
            assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"), case
            assert rules <= {one.reason for one in error.violations if one.field == path}, (case, error.violations)
            tried += 1
    assert recorded_suite.reached == []
    assert tried > 100


async def test_a_message_that_is_larger_than_any_may_be_is_refused(recorded_suite: RecordedSuite) -> None:
    """By gRPC, for the server as a whole."""
    error = await failure_of(recorded_suite.channel, next(rpcs()).path, b"\x0a" + b"x" * 5_000_000)
    assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert recorded_suite.reached == []
