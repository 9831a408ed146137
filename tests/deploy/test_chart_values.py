"""Values that do not fit are refused with a reason; those that fit arrive where they belong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from ridehail_servers.gateway.configuration import GatewaySettings
from tests.deploy.chart import ELSEWHERE, merged, of_kind, refusals, render

EXTERNAL = {"database": {"external": {"enabled": True}, "cnpg": {"enabled": False}}}
REFUSED: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "an unknown service": ({"services": {"toll-road": {}}}, "'toll-road' not allowed"),
    "a worker of a service without tasks": ({"services": {"order-core": {"worker": {}}}}, "'worker' not allowed"),
    "an unknown setting": ({"server": {"replica": 3}}, "'replica' not allowed"),
    "no replicas": ({"server": {"replicas": 0}}, "minimum: got 0, want 1"),
    "a tag that moves": ({"image": {"tag": "latest"}}, "/image/tag"),
    "a quantity that is none": ({"server": {"resources": {"limits": {"memory": "much"}}}}, "does not match pattern"),
    "an unknown file": ({"config": {"tollroads.yaml": {}}}, "'tollroads.yaml' not allowed"),
    "a misspelt key of a file": ({"config": {"server.yaml": {"pool": {"maxsize": 4}}}}, "'maxsize' not allowed"),
    "a value that servers refuse": ({"config": {"server.yaml": {"pool": {"max_size": 0}}}}, "minimum: got 0, want 1"),
    "a misspelt setting of the gateway": (
        {"gateway": {"settings": {"max_conections": 1}}},
        "'max_conections' not allowed",
    ),
    "a setting that the chart makes": ({"gateway": {"settings": {"gateway_key": "x"}}}, "'gateway_key' not allowed"),
    "a password in the URL": (
        merged(EXTERNAL, {"database": {"external": {"url": "postgresql://u:p@db/x"}}}),
        "does not match pattern",
    ),
    "two databases": ({"database": {"external": {"enabled": True}}}, "enable exactly one of external and cnpg"),
    "a database without an address": (EXTERNAL, "database.external needs url and ownerSecret.name"),
    "a database that pods may not reach": (
        merged(ELSEWHERE, {"database": {"external": {"peers": []}}}),
        "database.external.peers: say where it is",
    ),
    "a cache without an address": ({"cache": {"mode": "url"}}, "cache.mode url needs cache.urlSecret.name"),
    "a dependency that is nowhere": (
        {"services": {"eats-orders": {"enabled": False}}},
        "services.eats-orders is not enabled, and order-state, user-data calls it: give services.eats-orders.address",
    ),
    "an address of a service that runs here": (
        {"services": {"eulas": {"address": "eulas:50051"}}},
        "services.eulas.address is for a service that runs elsewhere",
    ),
    "a call that access.yaml refuses": (
        {
            "config": {
                "access.yaml": {
                    "methods": {
                        "ridehail.ordercore.v1.OrderCoreService/GetOrderFields": ["admin"],
                        "ridehail.ordercore.v1.OrderCoreService/SetOrderFields": ["admin"],
                    }
                }
            }
        },
        "toll-roads calls order-core, but access.yaml lets it call none of its methods",
    ),
    "a caller that is none": ({"callers": {"nobody": []}}, "callers.nobody is no caller of access.yaml"),
    "a certificate for nobody": ({"tls": {"callers": ["nobody"]}}, "tls.callers: nobody is no caller of access.yaml"),
    "a scaler upside down": ({"server": {"autoscaling": {"min": 9}}}, "autoscaling.min is more than autoscaling.max"),
    "too few connections": (
        {"database": {"cnpg": {"parameters": {"max_connections": "50"}}}},
        "max_connections is 50, and all pods may open",
    ),
}


@pytest.fixture(scope="module")
def reasons() -> dict[str, str]:
    return dict(zip(REFUSED, refusals(*(values for values, _reason in REFUSED.values())), strict=True))


@pytest.mark.parametrize("case", REFUSED)
def test_values_that_do_not_fit_are_refused_with_the_reason(case: str, reasons: dict[str, str]) -> None:
    assert REFUSED[case][1] in reasons[case]


def test_all_that_does_not_fit_is_said_at_once() -> None:
    (reason,) = refusals({"database": {"external": {"enabled": True}}, "cache": {"mode": "url"}, "callers": {"x": []}})
    assert len([line for line in reason.splitlines() if line.startswith("- ")]) == 6


def test_a_service_may_differ_from_the_others_also_by_switching_something_off() -> None:
    values = {
        "services": {
            "eulas": {
                "server": {"autoscaling": {"enabled": False}, "replicas": 7, "env": [{"name": "A", "value": "b"}]},
                "worker": {"processes": 3},
            }
        }
    }
    (manifests,) = render(values)
    deployments = of_kind(manifests, "Deployment")
    assert "eulas" not in of_kind(manifests, "HorizontalPodAutoscaler")
    assert "family" in of_kind(manifests, "HorizontalPodAutoscaler")
    assert deployments["eulas"]["spec"]["replicas"] == 7
    (container,) = deployments["eulas"]["spec"]["template"]["spec"]["containers"]
    assert {"name": "A", "value": "b"} in container["env"]
    (worker,) = deployments["eulas-worker"]["spec"]["template"]["spec"]["containers"]
    assert worker["args"] == ["worker", "eulas", "--workers", "3"]


def test_a_setting_is_merged_into_its_file_and_restarts_servers_only_if_they_read_it_at_their_start() -> None:
    edits: dict[str, Any] = {
        "server.yaml": {"log_successful_calls": False, "max_message_bytes": 8_388_608, "pool": {"max_size": 3}},
        "flags.json": {"flags": {}},
    }
    plain, live, edited = render({}, {"config": {"flags.json": edits["flags.json"]}}, {"config": edits})
    (config,) = of_kind(edited, "ConfigMap").values()
    server = yaml.safe_load(config["data"]["server.yaml"])
    assert (server["log_successful_calls"], server["max_message_bytes"]) == (False, 8_388_608)
    assert (server["pool"]["max_size"], server["pool"]["min_size"]) == (3, 1)
    assert isinstance(json.loads(config["data"]["flags.json"]), dict)
    assert of_kind(live, "Deployment") == of_kind(plain, "Deployment")
    assert of_kind(edited, "Deployment") != of_kind(plain, "Deployment")


def test_the_gateways_settings_arrive_as_they_are() -> None:
    settings: dict[str, Any] = {"max_heap_bytes": 2**31, "request_timeout_s": 7.5, "trusted_proxies": 1}
    (manifests,) = render({"gateway": {"settings": settings}})
    (container,) = of_kind(manifests, "Deployment")["gateway"]["spec"]["template"]["spec"]["initContainers"]
    words = [word.removeprefix("--set=") for word in container["args"] if word.startswith("--set=")]
    given = dict(word.split("=", 1) for word in words)
    read = GatewaySettings.model_validate(
        {**given, "public_port": 1, "internal_port": 2, "admin_port": 3, "upstreams": {}, "gateway_key": "x" * 16}
    )
    assert {name: getattr(read, name) for name in settings} == settings
    assert (read.public_host, read.internal_host) == ("0.0.0.0", "0.0.0.0")
