"""Who can connect to whom by the chart's NetworkPolicies: those who may call by access.yaml, and nobody else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from ridehail_servers import resources, suite
from ridehail_servers.gateway.routes import gateway_routes
from tests.deploy.chart import KINDS, NAMESPACE, RELEASE, SUITE, Manifest, containers, of_kind, pods, render, rendered

ACCESS = yaml.safe_load((resources.folder("config") / "access.yaml").read_text())
OUTSIDERS = sorted(set(ACCESS["callers"]) - suite.SERVICES.keys() - {"gateway"})
PORTS = SUITE["ports"]
CALLED_BY_GATEWAY = gateway_routes(suite.SERVICES.values()).clusters


@dataclass(frozen=True)
class Pod:
    """A pod, or an address outside the cluster."""

    labels: Mapping[str, str]
    namespace: str = NAMESPACE
    address: str = ""


DNS = Pod({"k8s-app": "kube-dns"}, "kube-system")
PROMETHEUS = Pod({"app.kubernetes.io/name": "prometheus"}, "monitoring")
STRANGER = Pod({"app": "stranger"})
DATABASE = Pod({"cnpg.io/cluster": f"{RELEASE}-database"})


@dataclass(frozen=True)
class Network:
    """A cluster with some policies, as a network that enforces them."""

    policies: Sequence[Manifest]

    def connects(self, source: Pod, target: Pod, port: int, protocol: str = "TCP") -> bool:
        opened = {"port": port, "protocol": protocol}
        return self._allows("egress", source, target, opened) and self._allows("ingress", target, source, opened)

    def _allows(self, direction: str, at: Pod, other: Pod, opened: Mapping[str, Any]) -> bool:
        peers = "from" if direction == "ingress" else "to"
        governing = [it["spec"] for it in self.policies if self._governs(it["spec"], direction, at)]
        return not governing or any(
            _lists(rule.get(peers), other) and opened in rule.get("ports", [opened])
            for spec in governing
            for rule in spec.get(direction) or ()
        )

    @staticmethod
    def _governs(spec: Mapping[str, Any], direction: str, at: Pod) -> bool:
        ours = at.namespace == NAMESPACE and not at.address
        return ours and direction.capitalize() in spec["policyTypes"] and _selects(spec["podSelector"], at.labels)


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    assert selector.keys() <= {"matchLabels"}
    return bool(selector.get("matchLabels", {}).items() <= labels.items())


def _lists(peers: Sequence[Mapping[str, Any]] | None, other: Pod) -> bool:
    return not peers or any(_is(peer, other) for peer in peers)


def _is(peer: Mapping[str, Any], other: Pod) -> bool:
    if "ipBlock" in peer:
        return bool(peer["ipBlock"]["cidr"] == f"{other.address}/32")
    namespace = {"kubernetes.io/metadata.name": other.namespace}
    near = (
        _selects(peer["namespaceSelector"], namespace) if "namespaceSelector" in peer else other.namespace == NAMESPACE
    )
    return near and not other.address and _selects(peer.get("podSelector", {}), other.labels)


def network(manifests: Sequence[Manifest]) -> tuple[Network, dict[str, Pod]]:
    """Returns the cluster's network, and a pod of each component."""
    components = {
        it["metadata"]["labels"]["app.kubernetes.io/component"]: Pod(it["spec"]["template"]["metadata"]["labels"])
        for it in manifests
        if it["kind"] in {"Deployment", "Job"}
    }
    return Network(list(of_kind(list(manifests), "NetworkPolicy").values())), components


def may_call(source: str, service: str) -> bool:
    """Returns whether access.yaml lets a source call any method that the service serves."""
    contracts = {contract.descriptor.full_name for contract in suite.SERVICES[service].contracts}
    return any(
        source in callers for method, callers in ACCESS["methods"].items() if method.partition("/")[0] in contracts
    )


def is_worker(component: str) -> bool:
    return component.endswith("-worker")


def servers(components: Mapping[str, Pod]) -> Iterator[str]:
    yield from (name for name in components if name in suite.SERVICES)


@pytest.mark.parametrize("kind", KINDS)
def test_processes_reach_the_services_that_they_call_and_no_others(kind: str) -> None:
    cluster, components = network(rendered(kind))
    for source, pod in components.items():
        for target in servers(components):
            if source == "gateway":
                expected = target in CALLED_BY_GATEWAY
            else:
                service = suite.SERVICES.get(source.removesuffix("-worker"))
                expected = service is not None and target in service.dependencies and may_call(service.name, target)
            assert cluster.connects(pod, components[target], PORTS["grpc"]) == expected, (source, target)


def test_callers_from_outside_reach_what_access_yaml_lets_them_call_and_the_gateways_internal_port() -> None:
    cluster, components = network(rendered("default"))
    assert len(OUTSIDERS) >= 5
    for caller in OUTSIDERS:
        pod = Pod({"ridehail/caller": caller})
        for target in servers(components):
            assert cluster.connects(pod, components[target], PORTS["grpc"]) == may_call(caller, target)
        assert cluster.connects(pod, components["gateway"], PORTS["internal"])
        assert not cluster.connects(Pod(pod.labels, "elsewhere"), components["gateway"], PORTS["internal"])


@pytest.mark.parametrize("kind", KINDS)
def test_strangers_reach_the_public_port_and_nothing_else(kind: str) -> None:
    cluster, components = network(rendered(kind))
    for component, pod in components.items():
        for port in (*PORTS.values(), 6379, 53, 443):
            for stranger in (STRANGER, Pod({}, "elsewhere")):
                expected = (component, port) == ("gateway", PORTS["public"])
                assert cluster.connects(stranger, pod, port) == expected, (component, port)


@pytest.mark.parametrize("kind", ["default", "dev", "small", "large"])
def test_who_has_a_schema_reaches_postgres_and_who_has_none_does_not(kind: str) -> None:
    cluster, components = network(rendered(kind))
    for component, pod in components.items():
        service = suite.SERVICES.get(component.removesuffix("-worker"))
        expected = component == "migrate" or (service is not None and service.schema is not None)
        assert cluster.connects(pod, DATABASE, 5432) == expected, component
    assert not cluster.connects(STRANGER, DATABASE, 5432)
    assert cluster.connects(DATABASE, DATABASE, 5432)
    assert cluster.connects(Pod({}, "cnpg-system"), DATABASE, 8000)


def test_only_servers_that_cache_reach_the_cache() -> None:
    cluster, components = network(rendered("default"))
    for component, pod in components.items():
        expected = component in suite.SERVICES and suite.SERVICES[component].needs_cache
        assert cluster.connects(pod, components["cache"], 6379) == expected, component


def test_what_runs_elsewhere_is_reached_there_and_only_by_those_who_need_it() -> None:
    cluster, components = network(rendered("elsewhere"))
    database, cache = Pod({}, address="10.0.0.10"), Pod({}, address="10.0.0.11")
    order_core, archive = Pod({}, "core"), Pod({}, address="52.0.0.1")
    reached: dict[str, set[str]] = {"database": set(), "cache": set(), "order-core": set(), "archive": set()}
    for component, pod in components.items():
        for name, target, port in (
            ("database", database, 5432),
            ("cache", cache, 6379),
            ("order-core", order_core, 443),
            ("archive", archive, 443),
        ):
            if cluster.connects(pod, target, port):
                reached[name].add(component)
    services = {name: suite.SERVICES[name] for name in suite.SERVICES if name != "order-core"}
    workers = {f"{name}-worker" for name, it in services.items() if it.has_tasks}
    calling = {name for name, it in services.items() if "order-core" in it.dependencies}
    assert reached == {
        "database": {name for name, it in services.items() if it.schema} | workers | {"migrate"},
        "cache": {"api-proxy"},
        "order-core": calling | {f"{name}-worker" for name in calling} & workers | {"gateway"},
        "archive": {"toll-roads-worker"},
    }
    assert cluster.connects(Pod({}, "orders"), components["toll-roads"], PORTS["grpc"])
    assert not cluster.connects(Pod({"ridehail/caller": "processing"}), components["toll-roads"], PORTS["grpc"])


@pytest.mark.parametrize("kind", KINDS)
def test_prometheus_scrapes_every_process_and_all_but_the_cache_ask_for_names(kind: str) -> None:
    cluster, components = network(rendered(kind))
    scraped = {component for component, pod in pods(rendered(kind)) if "metrics" in port_names(pod)}
    assert {component for component in components if component.removesuffix("-worker") in suite.SERVICES} <= scraped
    for component, pod in components.items():
        assert cluster.connects(PROMETHEUS, pod, PORTS["metrics"]) == (component in scraped)
        for protocol in ("TCP", "UDP"):
            assert cluster.connects(pod, DNS, 53, protocol) == (component != "cache"), component


def port_names(pod: Manifest) -> set[str]:
    return {port["name"] for container in containers(pod) for port in container.get("ports", ())}


def test_an_edit_of_access_yaml_changes_the_policies() -> None:
    method = "ridehail.tollroads.v1.TollRoadsService/SaveOffer"
    others = {name: callers for name, callers in ACCESS["methods"].items() if "routestats" in callers}
    edit = {"config": {"access.yaml": {"methods": {name: ["tc"] if name == method else [] for name in others}}}}
    before, (after,) = rendered("default"), render(edit)
    reached = {}
    for name, manifests in (("before", before), ("after", after)):
        cluster, components = network(manifests)
        for caller in ("routestats", "tc"):
            pod = Pod({"ridehail/caller": caller})
            reached[name, caller] = cluster.connects(pod, components["toll-roads"], PORTS["grpc"])
    assert reached == {
        ("before", "routestats"): True,
        ("before", "tc"): False,
        ("after", "routestats"): False,
        ("after", "tc"): True,
    }


def test_without_policies_there_are_none() -> None:
    (manifests,) = render({"networkPolicy": {"enabled": False}})
    assert of_kind(manifests, "NetworkPolicy") == {}
