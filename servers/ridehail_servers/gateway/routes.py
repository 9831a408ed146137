"""Routes of each listener, read from the contracts: services, their HTTP bindings, deadlines and retries.

Nothing is listed by hand, so no method can be forgotten and none can leak: a service's audience alone selects its
listener, and a listener returns 404 for everything else.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from google.api import annotations_pb2, http_pb2
from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from ridehail.common.v1 import options_pb2
from ridehail_kernel.method_contracts import method_contract, service_audience
from ridehail_servers.chassis.service_definition import ServiceDefinition

from .body_limits import body_limit, values_limit

# At a deadline the server itself returns the error; the gateway waits this many seconds longer for it.
TIMEOUT_SLACK_S: Final = 0.5
_AUTHORIZATION: Final = "envoy.service.auth.v3.Authorization"
_VERBS: Final = ("get", "put", "post", "delete", "patch")
_VARIABLE: Final = re.compile(r"\{[^{}=]+(?:=([^{}]*))?\}")


class SharedContract(Exception):
    """Several services serve a contract that needs the gateway, which could not distinguish them."""


class AuthorizerMissing(Exception):
    """No service authorizes passengers' requests."""


class BindingUnsupported(ValueError):
    """A body would become one field of a request; the gateway supports only bodies that are the whole request."""


class BindingConflict(Exception):
    """Two methods of one listener are bound to the same HTTP requests."""


@dataclass(frozen=True, slots=True)
class HttpBinding:
    """HTTP requests that become calls of a method.

    Either `path` is exact, or `path_regex` (RE2) matches whole paths; `has_body` is False if the body is ignored.
    """

    verb: str
    path: str | None
    path_regex: str | None
    has_body: bool = True


@dataclass(frozen=True, slots=True)
class MethodRoute:
    """A method that a listener serves.

    Attributes:
        name: `package.Service/Method`.
        cluster: The service of the suite that serves it.
        timeout_s: Retries included.
        retriable: Whether the gateway may retry a call that failed on the way.
        max_request_bytes: Of a body, as JSON or as protobuf.
        max_json_values: Of a body in JSON.
        request: The message that a body becomes.
        bindings: Empty for a method that only native gRPC can call.
    """

    name: str
    cluster: str
    timeout_s: float
    retriable: bool
    max_request_bytes: int
    max_json_values: int
    request: Descriptor
    bindings: tuple[HttpBinding, ...]

    @property
    def service(self) -> str:
        """`package.Service`."""
        return self.name.partition("/")[0]


@dataclass(frozen=True, slots=True)
class ListenerRoutes:
    """The gRPC services, by full name, and the methods that a listener serves."""

    services: tuple[str, ...]
    methods: tuple[MethodRoute, ...]

    @property
    def http_routes(self) -> list[tuple[HttpBinding, MethodRoute]]:
        """The HTTP bindings, exact paths before templates: the first that matches a request wins."""
        routes = [(binding, method) for method in self.methods for binding in method.bindings]
        return sorted(routes, key=lambda route: route[0].path is None)


@dataclass(frozen=True, slots=True)
class AuthorizerRoute:
    """The service that authorizes passengers' requests, and the seconds that a call may take."""

    cluster: str
    timeout_s: float


@dataclass(frozen=True, slots=True)
class GatewayRoutes:
    """Everything that the gateway serves."""

    public: ListenerRoutes
    internal: ListenerRoutes
    authorizer: AuthorizerRoute

    @property
    def clusters(self) -> tuple[str, ...]:
        """The services of the suite that the gateway calls, sorted."""
        served = {method.cluster for method in (*self.public.methods, *self.internal.methods)}
        return tuple(sorted(served | {self.authorizer.cluster}))

    @property
    def longest_timeout_s(self) -> float:
        """The longest timeout of all methods, or 0 without any."""
        return max((method.timeout_s for method in (*self.public.methods, *self.internal.methods)), default=0.0)


def gateway_routes(definitions: Iterable[ServiceDefinition]) -> GatewayRoutes:
    """Derives the routes from the contracts of the suite's services.

    Two kinds of contracts have none: those that only the gateway calls, and those that several services serve. The
    destination of a call's ticket distinguishes such services, and the gateway does not read tickets.

    Raises:
        SharedContract: Several services serve a contract for passengers, or one that is bound to HTTP requests.
        AuthorizerMissing: No service authorizes passengers' requests.
        BindingConflict: Two methods of one listener are bound to the same HTTP requests.
        ValueError: A contract states no audience or no deadline.
    """
    definitions = tuple(definitions)
    routed = _routed_contracts(definitions)
    return GatewayRoutes(
        public=_listener_routes(routed, options_pb2.AUDIENCE_PASSENGER),
        internal=_listener_routes(routed, options_pb2.AUDIENCE_INTERNAL),
        authorizer=_authorizer_route(definitions),
    )


def _routed_contracts(definitions: Iterable[ServiceDefinition]) -> list[tuple[str, ServiceDescriptor]]:
    """Returns the contracts that have routes, each with the service of the suite that serves it."""
    served = [
        (definition.name, contract.descriptor)
        for definition in definitions
        for contract in definition.contracts
        if contract.gateway_deadline is None
    ]
    times = Counter(descriptor.full_name for _service, descriptor in served)
    for service, descriptor in served:
        if times[descriptor.full_name] > 1 and _needs_the_gateway(descriptor):
            raise SharedContract(f"{descriptor.full_name} of {service} is served by another service too")
    return [(service, descriptor) for service, descriptor in served if times[descriptor.full_name] == 1]


def _needs_the_gateway(descriptor: ServiceDescriptor) -> bool:
    for_passengers = service_audience(descriptor) == options_pb2.AUDIENCE_PASSENGER
    return for_passengers or any(True for method in descriptor.methods for _binding in _bindings(method.GetOptions()))


def _authorizer_route(definitions: Iterable[ServiceDefinition]) -> AuthorizerRoute:
    for definition in definitions:
        for contract in definition.contracts:
            if contract.descriptor.full_name == _AUTHORIZATION and contract.gateway_deadline is not None:
                return AuthorizerRoute(definition.name, contract.gateway_deadline)
    raise AuthorizerMissing(f"no service of the suite serves {_AUTHORIZATION}")


def _listener_routes(
    contracts: Iterable[tuple[str, ServiceDescriptor]], audience: options_pb2.Audience.ValueType
) -> ListenerRoutes:
    services: list[str] = []
    methods: list[MethodRoute] = []
    for service, descriptor in contracts:
        if service_audience(descriptor) == audience:
            services.append(descriptor.full_name)
            methods += [_method_route(method, service) for method in descriptor.methods]
    _refuse_conflicts(methods)
    return ListenerRoutes(tuple(services), tuple(methods))


def _method_route(method: MethodDescriptor, cluster: str) -> MethodRoute:
    options: MethodOptions = method.GetOptions()
    contract = method_contract(method)
    return MethodRoute(
        name=contract.path.removeprefix("/"),
        cluster=cluster,
        timeout_s=contract.deadline + TIMEOUT_SLACK_S,
        retriable=options.idempotency_level == MethodOptions.NO_SIDE_EFFECTS,
        max_request_bytes=body_limit(method.input_type),
        max_json_values=values_limit(method),
        request=method.input_type,
        bindings=tuple(_bindings(options)),
    )


def _bindings(options: MethodOptions) -> Iterator[HttpBinding]:
    if not options.HasExtension(annotations_pb2.http):
        return
    rule = options.Extensions[annotations_pb2.http]
    for binding in (rule, *rule.additional_bindings):
        yield _binding(binding)


def _binding(rule: http_pb2.HttpRule) -> HttpBinding:
    pattern = rule.WhichOneof("pattern")
    if pattern in _VERBS:
        verb, template = pattern.upper(), getattr(rule, pattern)
    else:
        verb, template = rule.custom.kind, rule.custom.path
    if rule.body not in ("", "*"):
        raise BindingUnsupported(f"the body of {verb} {template} is not the whole request")
    if "{" not in template and "*" not in template:
        return HttpBinding(verb, template, None, bool(rule.body))
    return HttpBinding(verb, None, path_template_regex(template), bool(rule.body))


def path_template_regex(template: str) -> str:
    """Returns a regular expression (RE2) for all whole paths that a path template matches.

    Args:
        template: As google.api.http has it: `/v1/orders/{order_id}`, `/v1/{name=shelves/*}:lend`, `/v1/**`.
    """
    return re.sub(r"\*\*|\*|[^*]+", _segment_regex, _VARIABLE.sub(lambda variable: variable[1] or "*", template))


def _segment_regex(match: re.Match[str]) -> str:
    return {"**": ".*", "*": "[^/]+"}.get(match[0]) or re.escape(match[0])


def _refuse_conflicts(methods: Iterable[MethodRoute]) -> None:
    claimed: dict[HttpBinding, str] = {}
    for method in methods:
        for binding in method.bindings:
            other = claimed.setdefault(binding, method.name)
            if other != method.name:
                path = binding.path or binding.path_regex
                raise BindingConflict(f"{binding.verb} {path} is bound to both {other} and {method.name}")
