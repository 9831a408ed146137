"""Fields and messages of the contracts as the client library shows them: types, defaults and conversions in Python."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto

from ridehail._third_party.buf.validate import validate_pb2
from ridehail.common.v1 import options_pb2, rules_pb2

if TYPE_CHECKING:
    from client_contracts import Contracts

F: Final = FieldDescriptorProto
SCALARS: Final = {F.TYPE_STRING: "str", F.TYPE_BYTES: "bytes", F.TYPE_BOOL: "bool", F.TYPE_DOUBLE: "float"}
TIMESTAMP: Final = ".google.protobuf.Timestamp"
STRUCT: Final = ".google.protobuf.Struct"


@dataclass(frozen=True)
class Kind:
    """One value of a field: its types in Python, and the expressions that convert `{0}`."""

    taken: str
    returned: str
    read: str = "{0}"
    write: str = "{0}"


JSON: Final = {
    STRUCT: Kind("Mapping[str, JsonInput]", "JsonObject", "from_struct({0})", "to_struct({0})"),
    ".google.protobuf.Value": Kind("JsonInput", "JsonValue", "from_value({0})", "to_value({0})"),
    ".google.protobuf.ListValue": Kind("Sequence[JsonInput]", "JsonValue", "from_list({0})", "to_list({0})"),
}


class Field:
    """A field of a message."""

    def __init__(self, contracts: Contracts, proto: FieldDescriptorProto, comment: str = "") -> None:
        self.contracts, self.proto, self.name, self.kind_name = contracts, proto, proto.name, proto.type_name
        self.comment = re.sub(r"\bAbsent\b", "None", comment)
        self.rules = proto.options.Extensions[validate_pb2.field]
        self.json_of = proto.options.Extensions[options_pb2.json_of]
        self.preset = proto.options.Extensions[options_pb2.client_default]
        self.enum = proto.options.Extensions[options_pb2.client_enum]
        self.is_list = proto.label == F.LABEL_REPEATED
        entry = contracts.entries.get(proto.type_name)
        self.entry = [Field(contracts, one) for one in entry.field] if entry else []

    @property
    def is_nullable(self) -> bool:
        """Whether None stands for an absent field."""
        if self.is_list or self.rules.required or self.preset:
            return False
        is_list_that_can_be_absent = bool(self.json_of.message) and self.kind_name != STRUCT
        return self.proto.proto3_optional or self.kind_name == TIMESTAMP or is_list_that_can_be_absent

    @cached_property
    def kind(self) -> Kind:
        """What one value is."""
        if self.proto.type != F.TYPE_MESSAGE:
            scalar = SCALARS.get(self.proto.type, "int")
            return Kind(self.enum, self.enum, f"known({self.enum}, {{0}})") if self.enum else Kind(scalar, scalar)
        if self.json_of.message:
            return self._kind_of_json
        if self.kind_name == TIMESTAMP:
            return Kind("datetime", "datetime", "from_timestamp({0})", f'to_timestamp("{self.name}", {{0}})')
        if self.kind_name in JSON:
            return JSON[self.kind_name]
        message = self.contracts.messages[self.kind_name]
        if bare := message.bare:
            inner = bare.kind
            read, write = inner.read.format(f"{{0}}.{bare.name}"), f"{message.python}({bare.name}={inner.write})"
            return Kind(inner.taken, inner.returned, read, write)
        lacking = "".join(f", {name}={{0}}.{name}" for name in self.contracts.models[message.model].lacking)
        return Kind(message.model, message.model, f"{message.model}.from_message({{0}}{lacking})", "{0}.to_message()")

    @property
    def _kind_of_json(self) -> Kind:
        message = self.contracts.messages[f".{self.json_of.message}"]
        if opened := self.json_of.with_others:
            return Kind(message.model, opened, f"{opened}.from_struct({{0}})", f"{opened}.struct_of({{0}})")
        element = f"{message.model}.from_message(parsed(one, {message.python}()))"
        several = f"tuple[{message.model}, ...]"
        return Kind(several, several, f"tuple({element} for one in {{0}}.values)")

    def type(self, several: str, *, is_taken: bool) -> str:
        """Returns the type in Python; `several` is that of a list, as in `tuple[{0}, ...]`."""
        if self.entry:
            key, value = (one.kind.taken if is_taken else one.kind.returned for one in self.entry)
            return f"{'Mapping' if is_taken else 'dict'}[{key}, {value}]"
        one = self.kind.taken if is_taken else self.kind.returned
        if self.is_list:
            return several.format(one)
        return f"{one} | None" if self.is_nullable else one

    def read(self, source: str = "message") -> str:
        """Returns the expression that reads the field of a message."""
        value = f"{source}.{self.name}"
        read = (self.entry[1] if self.entry else self).kind.read
        if self.entry:
            return f"dict({value})" if read == "{0}" else f"{{k: {read.format('one')} for k, one in {value}.items()}}"
        if self.is_list:
            return f"tuple({value})" if read == "{0}" else f"tuple({read.format('one')} for one in {value})"
        if self.preset and self.proto.type == F.TYPE_STRING:
            return read.format(f'{value} or "{self.preset}"')
        return read.format(value) + (f' if {source}.HasField("{self.name}") else None' if self.is_nullable else "")

    def write(self, value: str) -> str:
        """Returns the expression that converts a value in Python to what the message holds."""
        write = (self.entry[1] if self.entry else self).kind.write
        if self.is_list and not self.entry and self.proto.type == F.TYPE_STRING:
            return f'to_strings("{self.name}", {value})'
        if write == "{0}":
            return value
        if self.entry:
            return f"{{k: {write.format('one')} for k, one in {value}.items()}}"
        if self.is_list:
            return f"[{write.format('one')} for one in {value}]"
        if self.is_nullable:
            return f"None if {value} is None else {write.format(value)}"
        # An absent object and an empty one are the same where the contract says nothing else.
        may_be_left_out = self.kind_name == STRUCT and not (self.rules.required or self.preset)
        return write.format(value) + (f" if {value} else None" if may_be_left_out else "")

    def default(self, mapping: str, *, is_received_only: bool = False) -> str:
        """Returns the default in Python, empty if there is none; `mapping` is that of an empty mapping."""
        if self.is_nullable:
            return "None"
        if self.preset:
            text = f"{self.enum}.{self.preset.upper()}" if self.enum else f'"{self.preset}"'
            literals = {F.TYPE_STRING: text, F.TYPE_BOOL: self.preset.title(), F.TYPE_MESSAGE: mapping}
            return literals.get(self.proto.type, self.preset)
        if is_received_only or self.rules.required or self._refuses_empty:
            return ""
        if self.is_list:
            return mapping if self.entry else "()"
        empty = {F.TYPE_STRING: '""', F.TYPE_BOOL: "False", F.TYPE_BYTES: 'b""', F.TYPE_MESSAGE: ""}
        return mapping if self.kind_name == STRUCT else empty.get(self.proto.type, "0")

    @property
    def _refuses_empty(self) -> bool:
        rules = getattr(self.rules, self.rules.WhichOneof("type") or "", None)
        if rules is None:
            # Texts without a rule are names of things, which are always there.
            return self.proto.type == F.TYPE_STRING and not self.is_list
        said = {one.name: value for one, value in rules.ListFields()}
        if self.proto.type == F.TYPE_STRING and not self.is_list:
            own = any(rules.Extensions[one] for one in (rules_pb2.id, rules_pb2.written_text, rules_pb2.field_path))
            # Classes of characters are RE2's; whether the empty text matches does not depend on them.
            pattern = re.sub(r"\\p\{\w+\}", r"\\s", said.get("pattern", ""))
            return own or not re.search(pattern, "") or "" not in said.get("in", [""]) or "min_len" in said
        return bool({"min_items", "min_pairs", "gt"} & said.keys()) or said.get("gte", 0) > 0


@dataclass(eq=False)
class Message:
    """A message of the contracts."""

    contracts: Contracts
    proto: DescriptorProto
    module: str
    comment: str
    comments: list[str]
    is_resource: bool

    def __post_init__(self) -> None:
        self.python = f"{self.module}.{self.proto.name}"
        self.options = self.proto.options.Extensions[options_pb2.client_model]
        self.model = self.options.name or self.proto.name

    @cached_property
    def fields(self) -> list[Field]:
        """Its fields, without those that are only there for old callers."""
        commented = zip(self.proto.field, self.comments, strict=True)
        return [Field(self.contracts, one, comment) for one, comment in commented if not one.options.deprecated]

    @property
    def parts(self) -> list[Field]:
        """Its fields, and the values of its maps."""
        return [*self.fields, *(one.entry[1] for one in self.fields if one.entry)]

    @property
    def bare(self) -> Field | None:
        """The field that stands for it."""
        return next((one for one in self.fields if one.proto.options.Extensions[options_pb2.bare]), None)
