"""The errors of the gateway's API: each status, with the reasons that come with it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Final

from client_contracts import Reason
from client_text import capitalized, paragraphs
from openapi_schemas import description

Schema = dict[str, Any]
TOO_MANY_REQUESTS: Final = 429
TYPE: Final = "type.googleapis.com/google.rpc."
# Raised by the gateway itself, without details.
BY_GATEWAY: Final = {
    400: "The body is not JSON of the contract, or the query has an unknown field.",
    403: "The gateway's configuration is newer than the service.",
    404: "There is no such method, or it takes another HTTP method.",
    408: "The request did not arrive in time.",
    413: "The body is larger than the method takes.",
    426: "This version of HTTP is not supported.",
    429: "Too many requests.",
    431: "The headers are larger than 16 KiB, or more than 100.",
    500: "The response is larger than the gateway takes.",
    501: "The transfer encoding is not known.",
    502: "The service gave no valid answer.",
    503: "No server of the service is available.",
    504: "The service did not answer in time.",
}
OF_PASSENGERS: Final = ("SESSION_MISSING", "SESSION_INVALID", "SESSION_EXPIRED", "PASSENGER_MISSING")
OF_SERVICES: Final = ("TICKET_MISSING", "TICKET_INVALID", "TICKET_EXPIRED", "TICKET_WRONG_DESTINATION")
OF_ALL: Final = (
    "INVALID_REQUEST",
    "CALLER_NOT_ALLOWED",
    "OVERLOADED",
    "DATABASE_UNAVAILABLE",
    "NEIGHBOUR_UNAVAILABLE",
    "DEADLINE_EXCEEDED",
    "INTERNAL",
)
BASE: Final[Schema] = {
    "Error": {
        "type": "object",
        "description": "What every error is.",
        "required": ["code", "message", "details"],
        "properties": {
            "code": {"type": "integer", "description": "A number of `google.rpc.Code`."},
            "message": {"type": "string", "description": "For people; it may change."},
            "details": {"type": "array", "items": {"type": "object"}},
        },
    },
    "RetryInfo": {
        "type": "object",
        "description": "When to come back.",
        "required": ["@type", "retry_delay"],
        "properties": {"@type": {"const": f"{TYPE}RetryInfo"}, "retry_delay": {"type": "string"}},
    },
    "BadRequest": {
        "type": "object",
        "description": "The first ten rules that the request breaks.",
        "required": ["@type", "field_violations"],
        "properties": {
            "@type": {"const": f"{TYPE}BadRequest"},
            "field_violations": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["field", "description", "reason"],
                    "properties": {
                        "field": {"type": "string", "description": "Its path in the request."},
                        "description": {"type": "string"},
                        "reason": {"type": "string", "description": "The id of the rule."},
                    },
                },
            },
        },
    },
}


class Errors:
    """The responses that are no success, in a document whose schemas are `components`."""

    def __init__(self, reasons: Iterable[Reason], components: dict[str, Schema], listener: str) -> None:
        self._reasons = {one.name: one for one in reasons}
        self._components = components
        components |= BASE
        self._common = [*(OF_PASSENGERS if listener == "public" else OF_SERVICES), *OF_ALL]
        self._common += ["RATE_LIMITED"]
        self.responses = {f"{status}": self._response(status, names) for status, names in self._by_status([]).items()}

    def of_method(self, listed: str) -> Schema:
        """Returns the responses of a method, whose comment lists what is special to it."""
        special: dict[str, str] = {}
        for one in paragraphs(listed):
            if match := re.match(r"- [A-Z_]+ `([A-Z_]+)`(?: \(HTTP \d+\))?[,:]? *(.*)", one):
                special.setdefault(match[1], "")
                special[match[1]] += f"{capitalized(match[2])} "
        by_status = self._by_status([name for name in special if name not in self._common])
        return {
            f"{status}": self._response(status, names, special)
            if any(name in special for name in names)
            else {"$ref": f"#/components/responses/{status}"}
            for status, names in sorted(by_status.items())
        }

    def _by_status(self, further: Iterable[str]) -> dict[int, list[str]]:
        by_status: dict[int, list[str]] = {status: [] for status in BY_GATEWAY}
        for name in (*self._common, *further):
            by_status.setdefault(self._reasons[name].contract.http_status, []).append(name)
        return by_status

    def _response(self, status: int, names: list[str], special: dict[str, str] | None = None) -> Schema:
        texts = [f"- {BY_GATEWAY[status]}"] if status in BY_GATEWAY else []
        texts += [f"- `{name}`: {self._text(name, special or {})}" for name in names]
        reasons = [self._reasons[name] for name in names]
        kinds = [self._error_info(one) for one in reasons]
        items = {"anyOf": [*kinds, *({"$ref": f"#/components/schemas/{one}"} for one in ("RetryInfo", "BadRequest"))]}
        schema: Schema = {
            "allOf": [{"$ref": "#/components/schemas/Error"}],
            "properties": {"details": {"items": items} if names else {"maxItems": 0}},
        }
        content: Schema = {"schema": schema}
        if reasons:
            content["examples"] = {one.name: {"value": self._example(one)} for one in reasons}
        headers = {"x-request-id": {"description": "The key to the logs.", "schema": {"type": "string"}}}
        if status == TOO_MANY_REQUESTS:
            headers["retry-after"] = {"description": "Seconds; of the gateway's own.", "schema": {"type": "string"}}
        return {
            "description": "\n".join(texts).removeprefix("- ") if len(texts) == 1 else "\n".join(texts),
            "headers": headers,
            "content": {"application/json": content},
        }

    def _text(self, name: str, special: dict[str, str]) -> str:
        reason = self._reasons[name]
        text = special.get(name) or " ".join(paragraphs(reason.comment.partition("\n    {")[0]))
        remedy = f" What to do: {reason.contract.remedy}." if reason.contract.remedy else ""
        return f"{text.strip()}{remedy}"

    def _error_info(self, reason: Reason) -> Schema:
        keys = list(reason.contract.metadata_keys)
        metadata: Schema = {"type": "object", "additionalProperties": False}
        if keys:
            metadata |= {"required": keys, "properties": {key: {"type": "string"} for key in keys}}
        self._components[f"ErrorInfo.{reason.name}"] = {
            "type": "object",
            "description": description(reason.comment.partition("\n    {")[0]),
            "required": ["@type", "reason", "domain", *(["metadata"] if keys else [])],
            "properties": {
                "@type": {"const": f"{TYPE}ErrorInfo"},
                "reason": {"const": reason.name},
                "domain": {"const": "ridehail"},
                "metadata": metadata,
            },
        }
        return {"$ref": f"#/components/schemas/ErrorInfo.{reason.name}"}

    @staticmethod
    def _example(reason: Reason) -> Schema:
        """Returns the error with the sample of the reason's comment."""
        sample = json.loads(reason.comment[reason.comment.rindex("\n    {") :])
        first = paragraphs(reason.comment)[0]
        return {"code": reason.contract.code, "message": first, "details": [{"@type": f"{TYPE}ErrorInfo", **sample}]}
