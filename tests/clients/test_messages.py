"""Arguments become the request, and the response becomes Python values: for every field of every message."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from tests.clients.cases.all_cases import CASES
from tests.clients.flavours import Flavour
from tests.clients.rpcs import Rpc, all_rpcs
from tests.clients.scripted_server import ScriptedServer, reply

every_rpc = pytest.mark.parametrize("rpc", all_rpcs(), ids=lambda rpc: rpc.name)


@every_rpc
async def test_arguments_become_the_request_and_the_response_becomes_python_values(
    rpc: Rpc, flavour: Flavour, server: ScriptedServer
) -> None:
    for case in CASES:
        if case.rpc != rpc.name:
            continue
        server.script(reply(rpc.response(case.response)))

        returned = await flavour.call(flavour.in_memory(server), rpc.client, rpc.method, case.arguments)

        assert server.received.pop().request == rpc.request(case.request), case
        assert returned == case.result
        assert type(returned) is type(case.result)


def fields_of(message: Descriptor, above: tuple[Descriptor, ...] = ()) -> Iterator[FieldDescriptor]:
    """Returns all fields that a message can hold at any depth, as far as the contracts define them."""
    for field in message.fields:
        yield field
        inner = field.message_type
        if inner is not None and inner not in above and inner.file.package.startswith("ridehail."):
            yield from fields_of(inner, (*above, message))


def fields_in(message: Message) -> Iterator[FieldDescriptor]:
    """Returns the fields that are set, at any depth."""
    for field, value in message.ListFields():
        yield field
        if field.message_type is None or not field.message_type.file.package.startswith("ridehail."):
            continue
        if field.message_type.GetOptions().map_entry:
            yield from field.message_type.fields
            values = value.values() if field.message_type.fields_by_name["value"].message_type else ()
        else:
            values = value if field.is_repeated else (value,)
        for one in values:
            yield from fields_in(one)


@every_rpc
def test_the_cases_hold_every_field_of_the_request_and_the_response(rpc: Rpc) -> None:
    seen = {
        field.full_name
        for case in CASES
        if case.rpc == rpc.name
        for message in (rpc.request(case.request), rpc.response(case.response))
        for field in fields_in(message)
    }
    fields = (*fields_of(rpc.descriptor.input_type), *fields_of(rpc.descriptor.output_type))
    assert {field.full_name for field in fields} <= seen
