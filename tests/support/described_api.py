"""Calls of a running suite as the documents of its API describe them."""

from __future__ import annotations

import copy
import http.client
import itertools
import json
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.tickets import TicketIssuer
from ridehail_servers.passenger_authorizer.session_tokens import issue_session_token
from tests.support.waiting import LIMIT_S

ROOT = Path(__file__).parents[2]
HOUR = timedelta(hours=1)


@cache
def document(listener: str) -> dict[str, Any]:
    """Returns the document of a listener."""
    read: dict[str, Any] = json.loads((ROOT / f"deploy/api/{listener}.json").read_text())
    return read


def strict(described: dict[str, Any]) -> dict[str, Any]:
    """Returns a document by which neither a request nor a response has members that the contract does not have."""
    closed = copy.deepcopy(described)
    for name, schema in closed["components"]["schemas"].items():
        # Parts of requests may be JSON with further members.
        if "properties" in schema and name != "Error" and (not name.endswith(".Input") or "Request." in name):
            schema["additionalProperties"] = False
    return closed


@cache
def _access() -> dict[str, list[str]]:
    methods: dict[str, list[str]] = yaml.safe_load((ROOT / "config/access.yaml").read_text())["methods"]
    return methods


@dataclass
class DescribedApi:
    """A listener of a running suite."""

    listener: str
    address: str
    keys: Path
    _uids: Iterator[int] = field(default_factory=lambda: itertools.count(5_000_000_000))

    def credentials(self, operation_id: str, destination: str, **passenger: str) -> dict[str, str]:
        """Returns the headers with which a call is let in, of a new passenger if none is given."""
        if self.listener == "public":
            now, ring = datetime.now(UTC), KeyRing(self.keys / "sessions")
            token = issue_session_token(
                ring,
                yandex_uid=passenger.get("yandex_uid") or str(next(self._uids)),
                phone_id=passenger.get("phone_id", "phone"),
                family_role=passenger.get("family_role", ""),
                ttl=HOUR,
                now=now,
            )
            return {"authorization": f"Bearer {token}"}
        ticket = TicketIssuer(KeyRing(self.keys / "tickets"), self._caller(operation_id)).issue(destination)
        return {"x-ya-service-ticket": ticket}

    def examples(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yields the examples of the listener's calls, in their order, each with the id of its operation."""
        operations = self._operations()
        examples = yaml.safe_load((ROOT / "proto/examples.yaml").read_text())
        yield from ((identity, one) for identity, one in examples.items() if identity in operations)

    def call(self, identity: str, example: dict[str, Any]) -> tuple[int, Any]:
        """Makes the call of an example, and returns the status and the body of the response."""
        verb, path, operation = self._operations()[identity]
        body = dict(example["request"])
        query = {
            one["name"]: body.pop(one["name"])
            for one in operation.get("parameters", ())
            if one["in"] in {"path", "query"} and one["name"] in body
        }
        in_path = {name: query.pop(name) for name in list(query) if f"{{{name}}}" in path}
        target = path.format(**in_path) + (f"?{urllib.parse.urlencode(query)}" if query else "")
        connection = http.client.HTTPConnection(self.address, timeout=LIMIT_S)
        headers = self.credentials(identity, operation["tags"][0], **example.get("passenger", {}))
        connection.request(verb.upper(), target, None if verb == "get" else json.dumps(body), headers)
        response = connection.getresponse()
        answered = response.status, json.loads(response.read())
        connection.close()
        return answered

    def _operations(self) -> dict[str, tuple[str, str, dict[str, Any]]]:
        paths = document(self.listener)["paths"]
        return {one["operationId"]: (verb, path, one) for path, verbs in paths.items() for verb, one in verbs.items()}

    @staticmethod
    def _caller(operation_id: str) -> str:
        name = operation_id.rstrip("0123456789").replace(".", "/")
        (callers,) = (allowed for method, allowed in _access().items() if method.rpartition(".v1.")[2] == name)
        caller: str = callers[0]
        return caller
