"""The configuration of the suite as it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2
from pydantic import ValidationError

from ridehail.common.v1 import options_pb2
from ridehail_servers import suite
from ridehail_servers.chassis.settings import ServerTuning
from ridehail_servers.chassis.transport import grpcio
from ridehail_servers.gateway.configuration import (
    GatewaySettings,
    UpstreamMissing,
    default_descriptor_set,
    render,
)
from ridehail_servers.gateway.envoy_program import EnvoyConfigInvalid, validate

KEY = 'a-"key"-of-100%-{{trouble}}'
AUDIENCES = {"public": options_pb2.AUDIENCE_PASSENGER, "internal": options_pb2.AUDIENCE_INTERNAL}


def loaded(text: str) -> Any:
    """Returns the content of a large YAML document."""
    return yaml.load(text, Loader=yaml.CSafeLoader)


def settings_with(**changes: Any) -> GatewaySettings:
    """Returns settings for the whole suite."""
    settings: dict[str, Any] = {
        "public_port": 0,
        "internal_port": 0,
        "admin_port": 0,
        "upstreams": {name: f"{name}.ridehail.svc:50051" for name in suite.SERVICES},
        "gateway_key": KEY,
    }
    return GatewaySettings(**{**settings, **changes})


@pytest.fixture(scope="module")
def text() -> str:
    return render(settings_with(), suite.SERVICES.values())


@pytest.fixture(scope="module")
def config(text: str) -> dict[str, Any]:
    parsed: dict[str, Any] = loaded(text)
    return parsed


def connection_manager(config: dict[str, Any], listener: str) -> dict[str, Any]:
    """Returns the HTTP connection manager of a listener."""
    (found,) = (it for it in config["static_resources"]["listeners"] if it["name"] == listener)
    (chain,) = found["filter_chains"]
    network_filter = chain["filters"][-1]
    manager: dict[str, Any] = network_filter["typed_config"]
    return manager


def http_filter(config: dict[str, Any], listener: str, kind: str) -> dict[str, Any] | None:
    """Returns the settings of the HTTP filter of a type."""
    for it in connection_manager(config, listener)["http_filters"]:
        if it["typed_config"]["@type"].endswith(f".{kind}"):
            settings: dict[str, Any] = it["typed_config"]
            return settings
    return None


def described_services() -> Iterator[tuple[descriptor_pb2.ServiceDescriptorProto, str, int]]:
    """Yields every service of the descriptor set, with its full name and its audience, but what the gateway leaves out.

    Several services of the suite serve those, and it could not distinguish them.
    """
    served = Counter(it.descriptor.full_name for one in suite.SERVICES.values() for it in one.contracts)
    files = descriptor_pb2.FileDescriptorSet.FromString(default_descriptor_set().read_bytes()).file
    for file in files:
        for service in file.service:
            if served[f"{file.package}.{service.name}"] <= 1:
                yield service, f"{file.package}.{service.name}", service.options.Extensions[options_pb2.audience]


def described_bindings(method: descriptor_pb2.MethodDescriptorProto) -> int:
    """Returns how many HTTP bindings a method has."""
    if not method.options.HasExtension(annotations_pb2.http):
        return 0
    return 1 + len(method.options.Extensions[annotations_pb2.http].additional_bindings)


def test_envoy_accepts_the_configuration(text: str) -> None:
    validate(text)


def test_every_described_service_has_an_audience() -> None:
    assert {name for _, name, audience in described_services() if audience == options_pb2.AUDIENCE_UNSPECIFIED} == set()


@pytest.mark.parametrize("listener", AUDIENCES)
def test_a_listener_serves_all_services_of_its_audience_and_no_other(config: dict[str, Any], listener: str) -> None:
    transcoder = http_filter(config, listener, "GrpcJsonTranscoder")
    assert transcoder is not None
    expected = {name for _, name, audience in described_services() if audience == AUDIENCES[listener]}
    assert len(transcoder["services"]) == len(expected)
    assert set(transcoder["services"]) == expected


@pytest.mark.parametrize("listener", AUDIENCES)
def test_a_listener_routes_every_method_and_binding_of_its_services_and_nothing_else(
    config: dict[str, Any], listener: str
) -> None:
    (host,) = connection_manager(config, listener)["route_config"]["virtual_hosts"]
    native = sorted(route["match"]["path"] for route in host["routes"] if "grpc" in route["match"])
    bound = sorted(route["name"] for route in host["routes"] if "grpc" not in route["match"])
    expected_native, expected_bound = [], []
    for service, name, audience in described_services():
        if audience == AUDIENCES[listener]:
            for method in service.method:
                expected_native.append(f"/{name}/{method.name}")
                expected_bound += [f"{name}/{method.name}"] * described_bindings(method)
    assert (native, bound) == (sorted(expected_native), sorted(expected_bound))


def test_the_filters_are_in_the_order_that_makes_them_safe(config: dict[str, Any]) -> None:
    def kinds(listener: str) -> list[str]:
        filters = connection_manager(config, listener)["http_filters"]
        return [it["typed_config"]["@type"].rsplit(".", 1)[1] for it in filters]

    first = ["HeaderMutation", "Lua", "LocalRateLimit"]
    # Bytes and values are counted before anything parses a body.
    bodies = ["Buffer", "LocalRateLimit", "Lua", "JsonToMetadata", "RBAC"]
    last = ["GrpcJsonTranscoder", "Router"]
    assert kinds("public") == [*first, "ExtAuthz", "LocalRateLimit", *bodies, *last]
    assert kinds("internal") == [*first, *bodies, *last]


@pytest.mark.parametrize("listener", AUDIENCES)
def test_only_known_methods_have_the_filters_that_wait_for_a_body(config: dict[str, Any], listener: str) -> None:
    manager = connection_manager(config, listener)
    waiting = {it["name"] for it in manager["http_filters"] if it.get("disabled")}
    assert waiting == {"await_body", "read_json"}
    (host,) = manager["route_config"]["virtual_hosts"]
    for route in host["routes"]:
        by_grpc = "grpc" in route["match"]
        assert waiting & route["typed_per_filter_config"].keys() == ({"await_body"} if by_grpc else waiting)


def test_the_authorizer_gets_the_method_of_every_route(config: dict[str, Any]) -> None:
    (host,) = connection_manager(config, "public")["route_config"]["virtual_hosts"]
    for route in host["routes"]:
        judged = route["typed_per_filter_config"]["envoy.filters.http.ext_authz"]
        assert judged["check_settings"] == {"context_extensions": {"method": route["name"]}}


def test_the_public_listener_leaves_a_tenth_of_the_connections_to_the_services() -> None:
    rendered = loaded(render(settings_with(max_connections=50), suite.SERVICES.values()))
    public, internal = rendered["static_resources"]["listeners"]
    (limit, _manager) = public["filter_chains"][0]["filters"]
    assert limit["typed_config"]["max_connections"] == 45
    assert len(internal["filter_chains"][0]["filters"]) == 1


def test_the_servers_take_larger_headers_than_the_gateway_lets_through(config: dict[str, Any]) -> None:
    added_by_envoy, grpc_counts_beside_each = 4096, 32
    limits = {key: value for key, value in grpcio.options(ServerTuning()) if key.endswith("max_metadata_size")}
    assert len(limits) == 2
    for listener in AUDIENCES:
        manager = connection_manager(config, listener)
        count = manager["common_http_protocol_options"]["max_headers_count"]
        largest = manager["max_request_headers_kb"] * 1024 + added_by_envoy + count * grpc_counts_beside_each
        assert all(limit >= largest for limit in limits.values())


@pytest.mark.parametrize(
    ("listener", "stripped"),
    [
        ("public", {"x-ya-service-ticket"}),
        ("internal", set()),
    ],
)
def test_each_listener_strips_headers_that_servers_trust(
    config: dict[str, Any], listener: str, stripped: set[str]
) -> None:
    filters = {it["name"]: it["typed_config"] for it in connection_manager(config, listener)["http_filters"]}
    assert {it["remove"] for it in filters["strip"]["mutations"]["request_mutations"] if "remove" in it} == stripped | {
        "x-yandex-uid",
        "x-yataxi-userid",
        "x-ya-family-role",
        "x-yataxi-phone-id",
        "x-ya-gateway-key",
        "x-http-status",
        "x-ya-unknown-members",
        "x-envoy-original-path",
        "x-envoy-original-method",
    }


def test_the_authorizer_is_called_with_the_gateways_key_and_must_respond(config: dict[str, Any]) -> None:
    authorization = http_filter(config, "public", "ExtAuthz")
    assert authorization is not None
    assert authorization["failure_mode_allow"] is False
    grpc_service = authorization["grpc_service"]
    assert grpc_service["envoy_grpc"] == {"cluster_name": "passenger-authorizer"}
    # Envoy reads a percent sign as the start of a command, and two as one.
    assert grpc_service["initial_metadata"] == [{"key": "x-ya-gateway-key", "value": KEY.replace("%", "%%")}]
    # Of the request it learns the path and the token.
    assert authorization["allowed_headers"] == {"patterns": [{"exact": "authorization"}]}
    assert "with_request_body" not in authorization


def test_only_reads_are_retried(config: dict[str, Any]) -> None:
    for listener, expected in AUDIENCES.items():
        (host,) = connection_manager(config, listener)["route_config"]["virtual_hosts"]
        retried = {route["name"] for route in host["routes"] if "retry_policy" in route["route"]}
        reads = {
            f"{name}/{method.name}"
            for service, name, audience in described_services()
            for method in service.method
            if audience == expected and method.options.idempotency_level == descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS
        }
        assert retried == reads


def test_each_service_is_called_at_its_address(config: dict[str, Any]) -> None:
    for cluster in config["static_resources"]["clusters"]:
        ((endpoint,),) = (it["lb_endpoints"] for it in cluster["load_assignment"]["endpoints"])
        address = endpoint["endpoint"]["address"]["socket_address"]
        assert address == {"address": f"{cluster['name']}.ridehail.svc", "port_value": 50051}


def test_an_ipv6_upstream_can_be_named() -> None:
    upstreams = dict.fromkeys(suite.SERVICES, "[::1]:50051")
    text = render(settings_with(upstreams=upstreams), suite.SERVICES.values())
    validate(text)
    assert '{address: "::1", port_value: 50051}' in text


def test_the_administration_is_private(tmp_path: Path, config: dict[str, Any]) -> None:
    assert config["admin"]["address"]["socket_address"]["address"] == "127.0.0.1"
    settings = settings_with(admin_port=None, admin_socket=tmp_path / "admin")
    rendered = loaded(render(settings, suite.SERVICES.values()))
    assert rendered["admin"]["address"]["pipe"] == {"path": str(tmp_path / "admin"), "mode": 0o600}


@pytest.mark.parametrize(
    "changes",
    [
        {"admin_port": None},
        {"admin_socket": Path("/tmp/admin")},
        {"gateway_key": "short"},
        {"gateway_key": "with a space and\na line"},
        {"upstreams": {"toll-roads": "no-port"}},
        {"upstreams": {"toll-roads": "http://host:1"}},
        {"public_port": 70000},
        {"public_prot": 1},
    ],
    ids=", ".join,
)
def test_wrong_settings_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        settings_with(**changes)
    assert KEY not in str(caught.value)


def test_the_key_does_not_show_in_a_representation() -> None:
    assert KEY not in repr(settings_with())


def test_a_service_without_an_address_is_named() -> None:
    with pytest.raises(UpstreamMissing, match="passenger-authorizer"):
        render(settings_with(upstreams={"toll-roads": "h:1", "order-core": "h:1"}), suite.SERVICES.values())


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("admin: {unknown: 1}", "unknown"),
        ("not yaml: [", "envoy.yaml"),
    ],
)
def test_a_configuration_that_envoy_refuses_is_refused_with_its_message(text: str, complaint: str) -> None:
    with pytest.raises(EnvoyConfigInvalid, match=complaint) as caught:
        validate(text)
    assert str(caught.value)


def test_a_missing_descriptor_set_is_refused() -> None:
    nowhere = settings_with(descriptor_set=Path("/nowhere/descriptors.binpb"))
    with pytest.raises(EnvoyConfigInvalid, match=r"/nowhere/descriptors\.binpb"):
        validate(render(nowhere, suite.SERVICES.values()))
