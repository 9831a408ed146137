"""Quick checks say yes only of requests that keep the rules of their contracts, and of nearly all that do."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorSet
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
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
from ridehail_servers.chassis.request_limits import RequestLimits, check_values, rules_view, value_counter
from ridehail_servers.chassis.timestamp_validation import malformed_timestamps
from tests.support.calls import rpcs
from tests.support.contract_rules import broken_rules
from tests.support.largest_requests import typical_request

Change = Callable[[Any], object]
"""Changes a message, whatever its type."""

OURS = [rpc for rpc in rpcs() if not rpc.by_gateway_key]
REQUESTS: dict[str, Descriptor] = {rpc.method.input_type.full_name: rpc.method.input_type for rpc in OURS}
METHODS = [
    served for one in suite.SERVICES.values() for served in method_table(one).values() if not served.by_gateway_key
]

WITHOUT_CHECK = {
    "envoy.service.auth.v3.Authorization/Check": "not ours, and without rules",
}
"""Methods of whose requests protovalidate judges every one, with the reason."""

LENGTHS = (127, 128, 129, 256, 257, 512, 513)
# Printable or not, visible or not, of one byte or of several.
LETTERS = "\n\t\0 \x7f\xa0й\u200b\u200d\u2028\u3000\ue000\ufdd0\ufffc\U0001f695"
TEXTS = (
    "",
    *(letter * length for letter in "xй" for length in LENGTHS),
    *(text for letter in LETTERS for text in (letter, f"a{letter}", f"1{letter}")),
    *("0", "01", "1" * 18, "1" * 19, "a.b", ".a", "a.", "a..b", "$-_", "x" * 64 + ".a", "x" * 65 + ".a"),
)
# What Python does not print though a rule may allow it: only protovalidate knows that it is valid.
UNPRINTABLE = "\xa0\u200d\u3000\ufdd0"
NUMBERS = (-(2**31), -1, 0, 1, 2**31 - 1)
NOW = int(time.time())
SECONDS = (-62135596801, -62135596800, -1, 0, NOW, NOW + 60, NOW + 600, 253402300799, 253402300800)
NANOS = (-1, 0, 1, 999, 1000, 999_999_000, 999_999_999, 1_000_000_000)
# Of a list or a map without a limit of its own.
MANY = 20


def changes(of: Descriptor, texts: Sequence[str] = TEXTS) -> Iterator[Change]:
    """Yields changes of a message: each gives one field a value near the edge of a rule."""
    if of.full_name == Timestamp.DESCRIPTOR.full_name:
        yield from (partial(assign, field="seconds", value=value) for value in SECONDS)
        yield from (partial(assign, field="nanos", value=value) for value in NANOS)
    if not of.full_name.startswith("ridehail."):
        return  # JSON: the rules do not look into it
    for field in of.fields:
        name, inner, rules = field.name, field.message_type, stated(field)
        yield partial(clear, field=name)
        if not field.is_repeated:
            yield from (partial(assign, field=name, value=value) for value in edges(field, rules, texts))
            if inner is not None:
                yield partial(empty, field=name)
                yield from (partial(inside, field=name, change=change) for change in changes(inner, texts))
        elif is_map(field):
            assert inner is not None
            key, value = inner.fields
            most = rules.map.max_pairs or MANY
            yield from (partial(fill_map, field=name, size=size) for size in (most, most + 1))
            yield from (partial(add_key, field=name, key=one) for one in edges(key, rules.map.keys, texts))
            yield from (partial(set_values, field=name, value=one) for one in edges(value, rules.map.values, texts))
            if value.message_type is not None:
                yield from (partial(inside_last, field=name, change=one) for one in changes(value.message_type, texts))
        else:
            most = rules.repeated.max_items or MANY
            yield from (partial(fill_list, field=name, size=size) for size in (most, most + 1))
            yield from (partial(append, field=name, value=one) for one in edges(field, rules.repeated.items, texts))
            if inner is not None:
                yield from (partial(inside_last, field=name, change=change) for change in changes(inner, texts))


def edges(field: FieldDescriptor, rules: Any, texts: Sequence[str]) -> Iterator[object]:  # rules have no common type
    """Yields values of a field near the edges of its rules, and some beyond."""
    if field.type == FieldDescriptor.TYPE_STRING:
        yield from texts
        yield from (text for one in getattr(rules.string, "in") for text in (one, one.upper(), f"{one} "))
    elif field.type == FieldDescriptor.TYPE_BOOL:
        yield from (False, True)
    elif field.type != FieldDescriptor.TYPE_MESSAGE:
        bounds = [bound for kind in (rules.int32, rules.int64) for _rule, bound in kind.ListFields()]
        yield from {*NUMBERS, *(bound + step for bound in bounds for step in (-1, 0, 1))}


def stated(field: FieldDescriptor) -> Any:  # as above
    return field.GetOptions().Extensions[validate_pb2.field]


def is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def clear(message: Any, *, field: str) -> None:
    message.ClearField(field)


def empty(message: Any, *, field: str) -> None:
    message.ClearField(field)
    getattr(message, field).SetInParent()


def assign(message: Any, *, field: str, value: object) -> None:
    setattr(message, field, value)


def inside(message: Any, *, field: str, change: Change) -> None:
    change(getattr(message, field))


def inside_last(message: Any, *, field: str, change: Change) -> None:
    values = getattr(message, field)
    for one in list(values)[-1:]:
        change(one if isinstance(one, Message) else values[one])


def append(message: Any, *, field: str, value: object) -> None:
    getattr(message, field).append(value)


def fill_list(message: Any, *, field: str, size: int) -> None:
    values = getattr(message, field)
    values.extend([*values[:1]] * (size - len(values)))


def fill_map(message: Any, *, field: str, size: int) -> None:
    for number in range(size - len(getattr(message, field))):
        add_key(message, field=field, key=f"another{number}")


def add_key(message: Any, *, field: str, key: Any) -> None:
    values = getattr(message, field)
    for first in list(values)[:1]:
        if isinstance(values[first], Message):
            values[key].CopyFrom(values[first])
        else:
            values[key] = values[first]


def set_values(message: Any, *, field: str, value: object) -> None:
    values = getattr(message, field)
    for key in list(values):
        values[key] = value


def is_refused(request: Message) -> bool:
    """Says whether a server would refuse a request if it had no quick checks."""
    view = rules_view(type(request)).FromString(request.SerializeToString())
    return bool(broken_rules(view)) or any(malformed_timestamps(request))


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
    for change in data.draw(st.lists(st.sampled_from(possible), max_size=4)):
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
    return str(GENERATOR.QuickChecks(image).module())


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
    text = GENERATOR.QuickChecks(image).module()
    assert f"# No translation for {OF_RETRIEVE}: order_id: ridehail.common.v1.id" in text
