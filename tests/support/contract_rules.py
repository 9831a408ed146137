"""What contracts and access rules state, without a server: `tests/chassis` proves that servers enforce them."""

from __future__ import annotations

from google.protobuf.message import Message
from protovalidate import Validator

from ridehail_servers import resources
from ridehail_servers.chassis.access import AccessPolicy
from ridehail_servers.chassis.config import load
from ridehail_servers.chassis.interceptors.validation import field_violation
from ridehail_servers.chassis.request_limits import rules_view

_VALIDATOR = Validator()


def broken_rules(request: Message) -> list[tuple[str, str]]:
    """Returns field and rule of each violation of a request."""
    # As servers see it. A validator keeps by name what it has seen of a type, so it must always see the same.
    seen = rules_view(type(request)).FromString(request.SerializeToString())
    violations = map(field_violation, _VALIDATOR.collect_violations(seen))
    return [(one.field, one.reason) for one in violations]


def callers_of(path: str) -> set[str]:
    """Returns who may call a method, such as `/ridehail.family.v1.FamilyService/GetFamily`, by the shipped rules."""
    policy = load(resources.folder("config") / "access.yaml", AccessPolicy)
    return set(policy.methods[path.removeprefix("/")])
