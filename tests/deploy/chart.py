"""The Helm chart, rendered as `helm template` does, by Helm's own library."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "ridehail"
PROGRAM = Path(__file__).with_name("helm_program.py")
SUITE: dict[str, Any] = yaml.safe_load((CHART / "files" / "suite.yaml").read_text())
RELEASE = "ridehail"
NAMESPACE = "production"

Manifest: TypeAlias = dict[str, Any]  # what YAML can hold

# An installation that brings its own database, cache, certificates and order-core.
ELSEWHERE: Mapping[str, Any] = {
    "database": {
        "external": {
            "enabled": True,
            "url": "postgresql://db.example:5432/ridehail?sslmode=verify-full",
            "ownerSecret": {"name": "db-owner"},
            "caSecret": {"name": "db-ca"},
            "peers": [{"ipBlock": {"cidr": "10.0.0.10/32"}}],
        },
        "cnpg": {"enabled": False},
        "passwordsSecret": "db-passwords",
    },
    "cache": {"mode": "url", "urlSecret": {"name": "redis"}, "peers": [{"ipBlock": {"cidr": "10.0.0.11/32"}}]},
    "tls": {"issuerRef": {"name": "company", "kind": "ClusterIssuer"}, "callers": ["admin"]},
    "services": {
        "order-core": {
            "enabled": False,
            "address": "order-core.core.svc:443",
            "peers": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "core"}}}],
        }
    },
    "archive": {"url": "s3://bucket/toll-roads", "env": [{"name": "AWS_REGION", "value": "eu-central-1"}]},
    "callers": {"processing": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "orders"}}}]},
    "monitoring": {"dashboards": True, "labels": {"release": "kube-prometheus-stack"}},
}


class ChartRefused(Exception):
    """Helm refuses to render the chart with these values."""


def values_of(name: str) -> Mapping[str, Any]:
    """Returns the values of `values-<name>.yaml`, `elsewhere`, or none for `default`."""
    if name == "default":
        return {}
    if name == "elsewhere":
        return ELSEWHERE
    found: Mapping[str, Any] = yaml.safe_load((CHART / f"values-{name}.yaml").read_text())
    return found


KINDS = ("default", "dev", "small", "large", "elsewhere")


@cache
def rendered(name: str) -> tuple[Manifest, ...]:
    """Returns the objects of one of the kinds of values; not to be changed."""
    return _all_kinds()[name]


@cache
def _all_kinds() -> dict[str, tuple[Manifest, ...]]:
    return {kind: tuple(found) for kind, found in zip(KINDS, render(*map(values_of, KINDS)), strict=True)}


def render(*values: Mapping[str, Any]) -> list[list[Manifest]]:
    """Returns the objects of an installation with each of the values, not to be changed; raises `ChartRefused`."""
    return [_objects(result) for result in _helm(values)]


def refusals(*values: Mapping[str, Any]) -> list[str]:
    """Returns why Helm refuses each of the values; empty if it does not."""
    return [result.get("error", "") for result in _helm(values)]


def lint() -> Any:
    """Returns the report of `helm lint --strict`."""
    return _helm((), "--lint")


def _objects(result: Mapping[str, Any]) -> list[Manifest]:
    if "error" in result:
        raise ChartRefused(result["error"])
    texts = (text for file, text in sorted(result["files"].items()) if not file.endswith("NOTES.txt"))
    return [it for text in texts for it in _parsed(text)]


@cache  # most texts are the same whatever the values
def _parsed(text: str) -> tuple[Manifest, ...]:
    return tuple(it for it in yaml.load_all(text, Loader=yaml.CSafeLoader) if it)


def _helm(values: Sequence[Mapping[str, Any]], *options: str) -> Any:
    if find_spec("helm_python") is None:
        pytest.skip("no wheel of Helm fits this machine")
    ended = subprocess.run(
        [sys.executable, str(PROGRAM), str(CHART), RELEASE, NAMESPACE, *options],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Returns values of two files, as Helm merges them."""
    found = copy.deepcopy(dict(first))
    for key, value in second.items():
        both = isinstance(value, Mapping) and isinstance(found.get(key), Mapping)
        found[key] = merged(found[key], value) if both else copy.deepcopy(value)
    return found


def of_kind(manifests: tuple[Manifest, ...] | list[Manifest], kind: str) -> dict[str, Manifest]:
    """Returns the objects of a kind by name, without the release's."""
    return {it["metadata"]["name"].removeprefix(f"{RELEASE}-"): it for it in manifests if it["kind"] == kind}


def pods(manifests: tuple[Manifest, ...] | list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Yields what the pods of Deployments and Jobs are, with the component's name."""
    for it in manifests:
        if it["kind"] in {"Deployment", "Job"}:
            yield it["metadata"]["labels"]["app.kubernetes.io/component"], it["spec"]["template"]["spec"]


def containers(pod: Manifest) -> list[Manifest]:
    return [*pod.get("initContainers", ()), *pod["containers"]]


def environment(container: Manifest) -> dict[str, str]:
    """Returns the variables that are said outright."""
    return {it["name"]: it["value"] for it in container.get("env", ()) if "value" in it}
