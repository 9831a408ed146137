"""Quick checks say yes only of requests that keep the rules of their contracts, and of nearly all that do."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorSet
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from hypothesis import given, settings
from hypothesis import strategies as st

from ridehail._third_party.buf.validate import validate_pb2
from ridehail.common.v1 import rules_pb2
from ridehail.eulas.v1.eulas_pb2 import EulaDecision
from ridehail.family.v1.family_pb2 import FamilyAdmin
from ridehail_servers import suite
from ridehail_servers.chassis.errors import InvalidRequest
from ridehail_servers.chassis.message_walk import messages_in
from ridehail_servers.chassis.methods import method_table
from ridehail_servers.chassis.quick_checks import QUICK_CHECKS
from ridehail_servers.chassis.quick_rules import is_id, is_written_text
from ridehail_servers.chassis.request_limits import RequestLimits, check_values, value_counter
from ridehail_servers.chassis.timestamp_validation import malformed_timestamps
from tests.support.calls import rpcs
from tests.support.contract_rules import broken_rules
from tests.support.largest_requests import typical_request
from tests.support.message_changes import TEXTS, changes, is_map

OURS = [rpc for rpc in rpcs() if not rpc.by_gateway_key]
REQUESTS: dict[str, Descriptor] = {rpc.method.input_type.full_name: rpc.method.input_type for rpc in OURS}
METHODS = [
    served for one in suite.SERVICES.values() for served in method_table(one).values() if not served.by_gateway_key
]

WITHOUT_CHECK = {
    "envoy.service.auth.v3.Authorization/Check": "not ours, and without rules",
}
"""Methods of whose requests protovalidate judges every one, with the reason."""

# What Python does not print though a rule may allow it: only protovalidate knows that it is valid.
UNPRINTABLE = "\xa0\u200d\u3000\ufdd0"


def is_refused(request: Message) -> bool:
    """Says whether a server would refuse a request if it had no quick checks."""
    return bool(broken_rules(request)) or any(malformed_timestamps(request))


# --- the checks of the contracts


def test_every_method_has_a_quick_check() -> None:
    """Fails for a method whose request has a rule that proto/quick_checks.py cannot translate.

    Its calls are handled, and each pays what protovalidate takes. A comment in the generated module names the rule:
    teach the generator, or list the method here with the reason.
    """
    without = {rpc.name for rpc in rpcs() if rpc.method.input_type.full_name not in QUICK_CHECKS}
    assert without == WITHOUT_CHECK.keys()


@pytest.mark.parametrize("name", REQUESTS)
def test_a_check_says_yes_of_nothing_that_is_refused_and_no_of_little_else(name: str) -> None:
    is_surely_valid = QUICK_CHECKS[name].is_surely_valid
    typical = typical_request(REQUESTS[name])
    assert is_surely_valid(typical)
    for change in changes(REQUESTS[name]):
        request = type(typical)()
        request.CopyFrom(typical)
        change(request)
        if is_surely_valid(request):
            assert not is_refused(request), request
        elif not is_refused(request):
            assert any(letter.encode() in request.SerializeToString() for letter in UNPRINTABLE), request


def is_json(message: Any) -> bool:  # a descriptor, of protobuf's one type or the other
    return message is not None and message.file.name == Struct.DESCRIPTOR.file.name


def json_in(message: Message) -> bool:
    return any(is_json(part.DESCRIPTOR) or json_in(part) for _path, part in messages_in(message))


def drop_json(message: Message) -> None:
    for field, _value in message.ListFields():
        inner = field.message_type
        if inner is not None and is_map(field):
            inner = inner.fields_by_name["value"].message_type
        if is_json(inner):
            message.ClearField(field.name)
    for _path, part in messages_in(message):
        drop_json(part)


def fits(request: Message, max_values: int) -> bool:
    try:
        return not any(check_values(request, RequestLimits(max_values=max_values)))
    except InvalidRequest:
        return False


@given(st.data())
@settings(max_examples=300)
def test_a_plain_request_is_valid_within_its_limits_and_without_json(data: st.DataObject) -> None:
    method = data.draw(st.sampled_from(METHODS))
    descriptor = REQUESTS[method.request.DESCRIPTOR.full_name]
    texts = data.draw(st.lists(st.sampled_from(TEXTS) | st.text(st.characters(exclude_categories=["Cs"])), max_size=3))
    possible = list(changes(descriptor, texts))
    request = typical_request(descriptor)
    for change in data.draw(st.lists(st.sampled_from(possible), max_size=4) if possible else st.just([])):
        change(request)
    if method.is_surely_valid(request):
        assert not is_refused(request)
    if method.is_plain(request):
        assert method.is_surely_valid(request)
        assert not json_in(request)
        assert not any(check_values(request, method.limits))  # it raises `InvalidRequest` where there are too many
    count = value_counter(descriptor, json_only=False)(request)
    if json_in(request):
        assert count > 10**9
    else:
        assert fits(request, count)
        assert count == 0 or not fits(request, count - 1)


def test_a_typical_request_without_json_is_plain() -> None:
    for method in METHODS:
        request = typical_request(REQUESTS[method.request.DESCRIPTOR.full_name])
        drop_json(request)
        # Where JSON is required it is refused.
        assert method.is_plain(request) == (not is_refused(request)), method.name


def test_what_python_prints_is_printable_to_protovalidate() -> None:
    printable = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isprintable()]
    assert len(printable) > 100_000
    for first in range(0, len(printable), 128):
        text = "".join(printable[first : first + 128])
        assert is_id(text)
        assert not broken_rules(EulaDecision(eula_id=text, status="accepted"))
        if is_written_text(text):
            assert not broken_rules(FamilyAdmin(yandex_uid="1", name=text))


# --- the generator


def loaded_generator() -> Any:  # a module of a folder that is no package
    spec = spec_from_file_location("quick_checks", Path(__file__).parents[2] / "proto" / "quick_checks.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look there
    spec.loader.exec_module(module)
    return module


GENERATOR = loaded_generator()
CONTRACTS = (Path(rules_pb2.__file__).parents[2] / "descriptors.binpb").read_bytes()
OF_RETRIEVE = "ridehail.tollroads.v1.RetrieveOrderRequest"
OF_POLL = "ridehail.orderstate.v1.PollOrdersStateRequest"


def generated(change: Callable[[dict[str, DescriptorProto]], object]) -> str:
    """Returns the module of contracts that are changed; `change` gets their messages by full name."""
    image = FileDescriptorSet.FromString(CONTRACTS)
    change({f"{file.package}.{one.name}": one for file in image.file for one in file.message_type})
    return "".join(GENERATOR.QuickChecks(image).module())


def rules(messages: dict[str, DescriptorProto], message: str, number: int) -> Any:  # as above
    (field,) = (one for one in messages[message].field if one.number == number)
    return field.options.Extensions[validate_pb2.field]


def of_id(rule: Callable[[Any], object]) -> Callable[[dict[str, DescriptorProto]], object]:
    return lambda messages: rule(rules(messages, OF_RETRIEVE, 1))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (of_id(lambda it: setattr(it.string, "uuid", True)), "order_id: string.uuid"),
        (of_id(lambda it: setattr(it.string, "pattern", r"^\w$")), r"order_id: string.pattern ^\w$"),
        (of_id(lambda it: setattr(it.string, "pattern", "^(?i)a$")), "order_id: string.pattern ^(?i)a$"),
        (of_id(lambda it: it.string.Extensions.__setitem__(rules_pb2.id, False)), "order_id: ridehail.common.v1.id"),
        (of_id(lambda it: it.string.MergeFromString(b"\xf8\xff\x7f\x01")), "order_id: a rule of a file"),
        (of_id(lambda it: it.cel.add(expression="true")), "order_id: cel"),
        (of_id(lambda it: setattr(it, "ignore", validate_pb2.IGNORE_IF_ZERO_VALUE)), "order_id: ignore"),
        (
            lambda of: of[OF_RETRIEVE].options.Extensions[validate_pb2.message].cel.add(expression="true"),
            "buf.validate.message",
        ),
    ],
)
def test_a_rule_that_has_no_translation_leaves_its_message_without_a_check(
    change: Callable[[dict[str, DescriptorProto]], object], named: str
) -> None:
    text = generated(change)
    assert f"# No translation for {OF_RETRIEVE}: {named}" in text
    assert f'"{OF_RETRIEVE}"' not in text
    assert f'"{OF_POLL}"' in text


def test_a_message_has_no_check_if_one_in_it_has_none() -> None:
    text = generated(lambda of: setattr(rules(of, "ridehail.orderstate.v1.KnownOrder", 1).string, "uuid", True))
    assert f"# No translation for {OF_POLL}: known_orders: orderid: string.uuid" in text
    assert f'"{OF_POLL}"' not in text


def test_a_shared_rule_that_is_changed_has_no_translation() -> None:
    image = FileDescriptorSet.FromString(CONTRACTS)
    (file,) = (one for one in image.file if one.name == "ridehail/common/v1/rules.proto")
    (extension,) = (one for one in file.extension if one.name == "id")
    (rule,) = extension.options.Extensions[validate_pb2.predefined].cel
    rule.expression = rule.expression.replace("128", "64")
    text = "".join(GENERATOR.QuickChecks(image).module())
    assert f"# No translation for {OF_RETRIEVE}: order_id: ridehail.common.v1.id" in text
