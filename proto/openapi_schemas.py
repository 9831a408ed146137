"""Messages of the contracts as JSON Schema: what the gateway takes and serves as their JSON."""

from __future__ import annotations

import re
from typing import Any, Final

from client_contracts import Contracts
from client_fields import F, Field, Message
from client_text import paragraphs

from ridehail._third_party.buf.validate import validate_pb2
from ridehail.common.v1 import options_pb2

Schema = dict[str, Any]

# Not every tool that reads a document knows Unicode's classes: these are controls, formats and separators by number.
# What Unicode has not assigned yet, the servers refuse as well.
PRINTABLE: Final = (
    r"[^\u0000-\u0020\u007f-\u00a0\u00ad\u0600-\u0605\u061c\u06dd\u070f\u1680\u180e\u2000-\u200f\u2028-\u202f"
    r"\u205f-\u206f\u3000\ue000-\uf8ff\ufdd0-\ufdef\ufeff\ufff9-\ufffb\ufffe\uffff]"
)
CLASSES: Final = {r"[^\p{C}\p{Z}]": PRINTABLE}
# Rules that the contracts share.
PREDEFINED: Final[dict[str, Schema]] = {
    "id": {"minLength": 1, "maxLength": 128, "pattern": f"^( |{PRINTABLE})*$"},
    "written_text": {"minLength": 1, "maxLength": 128, "pattern": PRINTABLE},
    "field_path": {"maxLength": 512, "pattern": r"^[A-Za-z0-9_$-]{1,64}(\.[A-Za-z0-9_$-]{1,64})*$"},
    # What it demands, no pattern can say; the comments of its fields do.
    "event_time": {},
}
LIMITS: Final = {
    "min_len": "minLength",
    "max_len": "maxLength",
    "pattern": "pattern",
    "in": "enum",
    "gte": "minimum",
    "lte": "maximum",
    "min_items": "minItems",
    "max_items": "maxItems",
    "max_pairs": "maxProperties",
}
WELL_KNOWN: Final[dict[str, Schema]] = {
    ".google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    ".google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?s$"},
    ".google.protobuf.Struct": {"type": "object"},
    ".google.protobuf.Value": {},
    ".google.protobuf.ListValue": {"type": "array"},
}
SCALARS: Final[dict[int, Schema]] = {
    F.TYPE_STRING: {"type": "string"},
    F.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    F.TYPE_BOOL: {"type": "boolean"},
    F.TYPE_INT32: {"type": "integer", "format": "int32"},
    F.TYPE_DOUBLE: {"type": "number", "format": "double"},
}


class UntranslatedRuleError(Exception):
    """A rule or a type that has no translation to JSON Schema here."""


class Schemas:
    """The schemas of one document, by the names under which it has them."""

    def __init__(self, contracts: Contracts) -> None:
        self._contracts = contracts
        self.components: dict[str, Schema] = {}

    def reference(self, message: Message, *, sent: bool) -> Schema:
        """Returns a reference to a message as it is sent by clients, or as they receive it."""
        file = message.module.removesuffix("_pb2").removesuffix("_api")
        name = f"{file}.{message.proto.name}{'.Input' if sent else ''}"
        if name not in self.components:
            self.components[name] = {}  # a message may hold itself
            self.components[name] |= self.object(message, sent=sent)
        return {"$ref": f"#/components/schemas/{name}"}

    def object(self, message: Message, *, sent: bool, without: tuple[str, ...] = ()) -> Schema:
        """Returns the schema of a message, but for some fields."""
        fields = [
            (Field(self._contracts, one, comment), comment)
            for one, comment in zip(message.proto.field, message.comments, strict=True)
            if one.name not in without
        ]
        properties = {field.name: self.field(field, comment, sent=sent) for field, comment in fields}
        schema: Schema = {"type": "object", "properties": properties}
        if message.comment:
            schema = {"description": description(message.comment), **schema}
        required = [
            one.name
            for one, _comment in fields
            if (refuses_absence(one, properties[one.name]) if sent else is_always_there(one))
        ]
        if required:
            schema["required"] = required
        return schema

    def field(self, field: Field, comment: str, *, sent: bool) -> Schema:
        """Returns the schema of a field."""
        if field.entry:
            _name, value = field.entry
            rules = field.rules.map
            names = {k: v for k, v in self._limits(rules.keys).items() if k != "type"}
            schema: Schema = {"type": "object", "additionalProperties": self._value(value, rules.values, sent=sent)}
            schema |= self._limits(field.rules) | ({"propertyNames": names} if names else {})
        elif field.is_list:
            schema = {"type": "array", "items": self._value(field, field.rules.repeated.items, sent=sent)}
            schema |= self._limits(field.rules)
        else:
            schema = self._value(field, field.rules, sent=sent)
        levels = field.proto.options.Extensions[options_pb2.max_json_depth]
        text = description(comment) + (f"\n\nAt most {levels} levels of objects and arrays." if levels else "")
        if field.proto.options.deprecated:
            schema["deprecated"] = True
        return {"description": text, **schema} if text else schema

    def _value(self, field: Field, rules: validate_pb2.FieldRules, *, sent: bool) -> Schema:
        if field.json_of.message:
            message = self._contracts.messages[f".{field.json_of.message}"]
            # Servers make this JSON by themselves, with or without members that have their default values.
            one = self.reference(message, sent=True)
            return {"type": "array", "items": one} if field.kind_name == ".google.protobuf.ListValue" else one
        if field.proto.type == F.TYPE_MESSAGE:
            if field.kind_name in WELL_KNOWN:
                return dict(WELL_KNOWN[field.kind_name])
            return self.reference(self._contracts.messages[field.kind_name], sent=sent)
        limits = self._limits(rules)
        if field.proto.type == F.TYPE_INT64:
            # JavaScript holds no larger number: they are served as strings, and taken as either.
            text: Schema = {"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,19}$"}
            return {"anyOf": [text, {"type": "integer", "format": "int64", **limits}]} if sent else text
        if field.proto.type not in SCALARS:
            raise UntranslatedRuleError(f"the type of {field.name}")
        return {**SCALARS[field.proto.type], **limits}

    @staticmethod
    def _limits(rules: validate_pb2.FieldRules) -> Schema:
        kind = rules.WhichOneof("type")
        if kind is None:
            return {}
        stated = getattr(rules, kind)
        limits: Schema = {}
        for rule, value in stated.ListFields():
            if rule.is_extension:
                limits = PREDEFINED[rule.name] | limits
            elif rule.name in LIMITS:
                limits[LIMITS[rule.name]] = list(value) if rule.name == "in" else value
                for unicode, portable in CLASSES.items() if rule.name == "pattern" else ():
                    limits["pattern"] = limits["pattern"].replace(unicode, portable)
            elif rule.name not in {"items", "keys", "values"}:
                raise UntranslatedRuleError(f"{kind}.{rule.name}")
        return limits


def refuses_absence(field: Field, schema: Schema) -> bool:
    """Returns whether a request without the field breaks its rules."""
    if field.rules.required:
        return True
    if field.proto.proto3_optional or field.entry or "$ref" in schema:
        return False
    if alternatives := schema.get("anyOf"):
        return any(refuses_absence(field, one) for one in alternatives)
    pattern = schema.get("pattern", "") if field.proto.type == F.TYPE_STRING else ""
    return bool(
        schema.get("minLength")
        or schema.get("minItems")
        or schema.get("minimum", 0) > 0
        or ("enum" in schema and "" not in schema["enum"])
        or (not field.is_list and not re.search(pattern, ""))
    )


def is_always_there(field: Field) -> bool:
    """Returns whether the gateway prints the field although it has its default value."""
    return not field.proto.proto3_optional and (field.is_list or field.proto.type != F.TYPE_MESSAGE)


def description(comment: str) -> str:
    """Returns a comment as Markdown."""
    lines = paragraphs(comment)
    return "".join(
        f"{line}{chr(10) if line.startswith('- ') and following.startswith('- ') else chr(10) * 2}"
        for line, following in zip(lines, [*lines[1:], ""], strict=True)
    ).strip()
