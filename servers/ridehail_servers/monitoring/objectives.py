"""What is promised of each method: how many calls succeed, and how many in time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from google.protobuf.descriptor import MethodDescriptor
from pydantic import BaseModel, ConfigDict, Field

from ridehail_kernel.method_contracts import method_contract
from ridehail_servers.chassis.access import AccessPolicy
from ridehail_servers.chassis.methods import method_table
from ridehail_servers.chassis.metrics import LATENCY_BUCKETS
from ridehail_servers.chassis.service_definition import ServiceDefinition

Severity = Literal["page", "ticket"]

# Nobody waits for what these call: scripts of people, and erasures and exports, which try again for days.
_PATIENT_CALLERS = frozenset({"admin", "user-data"})


class Promise(BaseModel):
    """What `objectives.yaml` says of a method; None is the default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    succeed: float | None = Field(default=None, gt=0, lt=1)
    in_time: float | None = Field(default=None, gt=0, lt=1)
    failing: Severity | None = None
    slow: Severity | None = None
    steady: bool | None = None


class Defaults(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    succeed: float = Field(gt=0, lt=1)
    in_time: float = Field(gt=0, lt=1)
    failing: Severity
    slow: Severity
    steady: bool


class Promises(BaseModel):
    """The content of `objectives.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    defaults: Defaults
    methods: dict[str, Promise]


@dataclass(frozen=True, slots=True)
class Objective:
    """What is promised of one method.

    Attributes:
        method: `package.Service/Method`.
        may_fail: Share of the calls.
        may_be_slow: Share of the responses.
        within_s: The bucket of the histogram within which a response is in time.
        failing: The severity of failures that burn the budget fast ...
        slow: ... and of slow responses.
        is_steady: Whether calls come day and night.
    """

    method: str
    may_fail: float
    may_be_slow: float
    within_s: float
    failing: Severity
    slow: Severity
    is_steady: bool


def objectives(definition: ServiceDefinition, promises: Promises, access: AccessPolicy) -> list[Objective]:
    """Returns the objectives of each method that a service serves."""
    times = _attempt_timeouts(definition)
    found: list[Objective] = []
    for served in method_table(definition).values():
        own, default = promises.methods.get(served.name, Promise()), promises.defaults
        is_waited_for = served.by_gateway_key or not set(access.methods.get(served.name, ())) <= _PATIENT_CALLERS
        found.append(
            Objective(
                method=served.name,
                may_fail=_rest(own.succeed or default.succeed),
                may_be_slow=_rest(own.in_time or default.in_time),
                within_s=_bucket(times.get(served.name, served.deadline)),
                failing=own.failing or (default.failing if is_waited_for else "ticket"),
                slow=own.slow or default.slow,
                is_steady=served.for_passengers if own.steady is None else own.steady,
            )
        )
    return found


def by_time(promised: Iterable[Objective]) -> Mapping[float, Sequence[str]]:
    """Returns the methods by the seconds within which their responses are in time."""
    methods: defaultdict[float, list[str]] = defaultdict(list)
    for objective in promised:
        methods[objective.within_s].append(objective.method)
    return dict(sorted(methods.items()))


def unknown_methods(definitions: Iterable[ServiceDefinition], promises: Promises) -> list[str]:
    """Returns the methods that `objectives.yaml` names and no service serves."""
    served = {it.name for definition in definitions for it in method_table(definition).values()}
    return sorted(set(promises.methods) - served)


def _attempt_timeouts(definition: ServiceDefinition) -> dict[str, float]:
    ours = [contract.descriptor for contract in definition.contracts if contract.gateway_deadline is None]
    methods: list[MethodDescriptor] = [method for descriptor in ours for method in descriptor.methods]
    return {it.path.removeprefix("/"): it.attempt_timeout for it in map(method_contract, methods)}


def _bucket(seconds: float) -> float:
    """Returns the largest bucket of the histogram that is no longer."""
    return max(bucket for bucket in LATENCY_BUCKETS if bucket <= seconds)


def _rest(share: float) -> float:
    return round(1 - share, 6)
