"""What contracts and access rules say, without a server: `tests/chassis` proves that every server keeps to them."""

from __future__ import annotations

from google.protobuf.message import Message
from protovalidate import Validator

from ridehail_servers import resources
from ridehail_servers.chassis.access import AccessPolicy
from ridehail_servers.chassis.config import load
from ridehail_servers.chassis.interceptors.validation import field_violation

_VALIDATOR = Validator()


def broken_rules(request: Message) -> list[tuple[str, str]]:
    """Returns what is wrong with a request by its contract: fields and rules."""
    violations = map(field_violation, _VALIDATOR.collect_violations(request))
    return [(one.field, one.reason) for one in violations]


def callers_of(path: str) -> set[str]:
    """Returns who may call a method, such as `/ridehail.family.v1.FamilyService/GetFamily`, as it is shipped."""
    policy = load(resources.folder("config") / "access.yaml", AccessPolicy)
    return set(policy.methods[path.removeprefix("/")])
