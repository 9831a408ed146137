"""The API of the gateway's listeners as OpenAPI 3.1, made from the contracts.

There are generators that make OpenAPI from protobuf. None knows what matters here: the rules of fields, the reasons of
errors, who is let in, and that a listener serves the contracts of one audience.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from client_contracts import Contracts, Method, Service
from client_text import capitalized
from google.api import annotations_pb2
from google.protobuf.json_format import MessageToDict
from openapi_errors import Errors
from openapi_schemas import Schema, Schemas, description

from ridehail.common.v1 import options_pb2

Operation = dict[str, Any]
TICKET: Final = "x-ya-service-ticket"
TITLES: Final = {"public": "Ridehail for apps", "internal": "Ridehail for services"}
INTRODUCTIONS: Final = {
    "public": (
        "What a rider's app calls, as JSON over HTTP. Every call needs the rider's session token. "
        "On one machine `ridehail token --uid 4000000001` prints one, and `ridehail up --demo` has data to try."
    ),
    "internal": (
        "What services call, as JSON over HTTP. Every call needs a ticket of the caller for the called service. "
        "On one machine `ridehail ticket --src admin --dst eulas` prints one: `--src` is a caller that `access.yaml` "
        "lets in, `--dst` the service that is the tag of a call here."
    ),
}
COMMON: Final = (
    "Bodies are JSON with `snake_case` names; members that are not known are ignored, but writes of services are "
    "refused with them. 64-bit numbers are strings. Every response has the header `x-request-id`, the key to the logs. "
    "Every error has the same shape, whose `reason` is for programs and whose `message` is for people."
)


class Document:
    """The document of one listener."""

    def __init__(self, contracts: Contracts, listener: str, version: str, examples: dict[str, Any]) -> None:
        self._listener, self._version, self._examples = listener, version, examples
        self._schemas = Schemas(contracts)
        self._errors = Errors(contracts.reasons, self._schemas.components, listener)
        self._services = [
            one
            for services in contracts.services.values()
            for one in services
            # What several services serve is on no listener.
            if one.destination and one.is_passenger == (listener == "public")
        ]

    def build(self) -> Schema:
        """Returns the document."""
        paths: dict[str, dict[str, Operation]] = {}
        for service in self._services:
            for method in service.methods:
                for verb, path, operation in self._operations(service, method):
                    paths.setdefault(path, {})[verb] = operation
        tags: dict[str, list[str]] = {}
        for service in self._services:
            tags.setdefault(service.destination, []).append(description(service.comment))
        return {
            "openapi": "3.1.0",
            "info": {
                "title": TITLES[self._listener],
                "version": self._version,
                "description": f"{INTRODUCTIONS[self._listener]}\n\n{COMMON}",
            },
            "servers": [{"url": "/"}],
            "tags": [{"name": name, "description": "\n\n".join(texts)} for name, texts in tags.items()],
            "paths": paths,
            "components": {
                "securitySchemes": self._security_schemes,
                "responses": self._errors.responses,
                "schemas": dict(sorted(self._schemas.components.items())),
            },
        }

    @property
    def _security_schemes(self) -> Schema:
        if self._listener == "public":
            return {"session": {"type": "http", "scheme": "bearer", "description": "The rider's session token."}}
        # A ticket is for one service, so that whoever tries calls of several keeps several.
        return {
            one.destination: {
                "type": "apiKey",
                "in": "header",
                "name": TICKET,
                "description": f"A ticket for {one.destination}, as `ridehail ticket --dst {one.destination}` prints.",
            }
            for one in self._services
        }

    def _operations(self, service: Service, method: Method) -> Iterator[tuple[str, str, Operation]]:
        if not method.proto.options.HasExtension(annotations_pb2.http):
            return  # it has no JSON
        rule = method.proto.options.Extensions[annotations_pb2.http]
        name = f"{service.proto.name}.{method.proto.name}"
        operation = self._operation(service, method, name)
        for number, binding in enumerate((rule, *rule.additional_bindings)):
            verb = binding.WhichOneof("pattern")
            path: str = getattr(binding, verb)
            inputs = self._inputs(method, path, name, has_body=bool(binding.body))
            if number:
                operation = {**operation, "summary": f"{operation['summary']} (the same by another path)"}
            yield verb, path, {**operation, "operationId": f"{name}{number or ''}", **inputs}

    def _operation(self, service: Service, method: Method, name: str) -> Operation:
        text, _, listed = f"{method.comment}\n".partition("\nErrors:\n")
        limits = method.proto.options.Extensions[options_pb2.request_limits]
        policy = method.proto.options.Extensions[options_pb2.call_policy]
        of_request = MessageToDict(limits, preserving_proto_field_name=True)
        sizes = [f"{value} {key.removeprefix('max_')}" for key, value in of_request.items()]
        notes = [f"Takes {policy.deadline.ToTimedelta().total_seconds():g} s at most."]
        notes += [f"A request has at most {' and '.join(sizes)}."] if sizes else []
        answer: Schema = {"schema": self._schemas.reference(method.response, sent=False)}
        if "response" in (example := self._examples.get(name, {})):
            answer["example"] = example["response"]
        success = {"description": "Done.", "content": {"application/json": answer}}
        responses = self._errors.of_method(listed)
        return {
            "tags": [service.destination],
            "summary": capitalized(re.sub(r"(?<!^)(?=[A-Z])", " ", method.proto.name).lower()),
            "description": "\n\n".join((description(text), " ".join(notes))),
            "security": [{"session" if service.is_passenger else service.destination: []}],
            "responses": {"200": success, **responses},
        }

    def _inputs(self, method: Method, path: str, name: str, *, has_body: bool) -> Operation:
        in_path = tuple(re.findall(r"\{(\w+)\}", path))
        message = method.request
        example = dict(self._examples.get(name, {}).get("request", {}))
        whole = self._schemas.object(message, sent=True)
        parameters: list[Schema] = []
        for field, schema in whole["properties"].items():
            if field in in_path or not has_body:
                place = "path" if field in in_path else "query"
                value = {key: one for key, one in schema.items() if key not in {"description", "deprecated"}}
                parameters.append(
                    {
                        "name": field,
                        "in": place,
                        "required": place == "path" or field in whole.get("required", ()),
                        **{key: schema[key] for key in ("description", "deprecated") if key in schema},
                        "schema": value,
                        **({"example": example.pop(field)} if field in example else {}),
                    }
                )
        if "accept-language" in method.comment:
            language = "The languages that the rider reads, the best first."
            parameters.append(
                {"name": "accept-language", "in": "header", "description": language, "schema": {"type": "string"}}
            )
        if method.flag.name and self._listener == "internal":
            flag = {"name": method.flag.key, "in": "header", "description": method.flag.description}
            parameters.append({**flag, "schema": {"type": "string", "enum": ["1"]}})
        inputs: Operation = {"parameters": parameters} if parameters else {}
        if has_body:
            body = self._schemas.object(message, sent=True, without=in_path) if in_path else None
            content = {"schema": body or self._schemas.reference(message, sent=True)}
            if name in self._examples:
                content["example"] = example
            inputs["requestBody"] = {"required": bool(whole.get("required")), "content": {"application/json": content}}
        return inputs


def documents(contracts: Contracts, version: str, examples: dict[str, Any]) -> dict[str, str]:
    """Returns the text of the document of each listener."""
    return {
        listener: json.dumps(Document(contracts, listener, version, examples).build(), indent=1, ensure_ascii=False)
        + "\n"
        for listener in TITLES
    }
