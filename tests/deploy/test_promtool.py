"""What the rules fire at, and what they do not, by promtool: cases by hand, and some made for every service."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ridehail_servers import resources, suite
from ridehail_servers.chassis.access import AccessPolicy
from ridehail_servers.chassis.config import load
from ridehail_servers.chassis.service_definition import ServiceDefinition
from ridehail_servers.monitoring.objectives import Objective, Promises, objectives
from tests.support.prometheus import RULES, copied_rules, program, without_intervals

CASES = Path(__file__).parent / "promtool"
# They look at windows of days, which costs seconds.
LONG = {"calls-of-days"}
MINUTES = 20
# Once a minute: what a healthy method gets, and of a failing and of a slow one the calls that are neither.
CALLS, GOOD = 600, 400

Case = dict[str, Any]  # YAML of promtool


@pytest.fixture(scope="module")
def tests_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of copies of the tests, beside copies of the rules that are evaluated as often as a test says."""
    root = tmp_path_factory.mktemp("rules")
    copied_rules(root / "deploy" / "prometheus", without_intervals)
    folder = root / "tests" / "deploy" / "promtool"
    shutil.copytree(CASES, folder)
    return folder


def run(file: Path) -> None:
    done = subprocess.run(
        [program("promtool"), "test", "rules", file.name], cwd=file.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_file_of_rules_is_valid() -> None:
    program("promtool")
    files = [str(file) for file in RULES.glob("*.yaml") if file.name != "prometheus.yaml"]
    subprocess.run([program("promtool"), "check", "rules", *files], check=True, capture_output=True)


def test_the_configuration_is_valid() -> None:
    subprocess.run([program("promtool"), "check", "config", RULES / "prometheus.yaml"], check=True, capture_output=True)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            file.name.removesuffix(".test.yaml"), marks=[pytest.mark.long] if file.name.split(".")[0] in LONG else []
        )
        for file in sorted(CASES.iterdir())
    ],
)
def test_rules_fire_at_what_they_are_for(name: str, tests_folder: Path) -> None:
    run(tests_folder / f"{name}.test.yaml")


# --- made from the definitions


def test_every_service_has_its_alerts_and_an_idle_one_has_none(tests_folder: Path) -> None:
    """Of each service: absence, a failing method, a slow one, healthy ones and idle ones."""
    promises = load(resources.folder("deploy") / "objectives.yaml", Promises)
    access = load(resources.folder("config") / "access.yaml", AccessPolicy)
    definitions = list(suite.SERVICES.values())
    promised = {it.name: objectives(it, promises, access) for it in definitions}
    named = ["recording", "calls", *promised]
    content = {
        "rule_files": [f"../../../deploy/prometheus/{name}.yaml" for name in named],
        "evaluation_interval": "5m",
        "tests": [
            {
                "name": "services that are there, each with a method that fails and one that is slow",
                "interval": "1m",
                "input_series": [
                    *(one for it in definitions for one in presence(it, f"1x{MINUTES}")),
                    *(one for name, its in promised.items() for one in calls(name, its)),
                ],
                "promql_expr_test": [fired(f"{MINUTES}m", [one for it in promised.items() for one in troubles(*it)])],
            },
            {
                "name": "services whose last process ends, and no call",
                "interval": "1m",
                "input_series": [one for it in definitions for one in presence(it, "1x5 _x25")],
                "promql_expr_test": [
                    fired("5m", []),
                    fired("30m", [one for it in definitions for one in absences(it)]),
                ],
            },
        ],
    }
    file = tests_folder / "services.test.yaml"
    file.write_text(yaml.safe_dump(content))
    run(file)


def presence(definition: ServiceDefinition, values: str) -> Iterator[Case]:
    for role in ("serve", "work") if definition.has_tasks else ("serve",):
        series = f'ridehail_processes{{job="ridehail-x", instance="a", service="{definition.name}", role="{role}"}}'
        yield {"series": series, "values": values}


def absences(definition: ServiceDefinition) -> Iterator[dict[str, str]]:
    yield {"alertname": "RidehailServiceAbsent", "service": definition.name, "severity": "page"}
    if definition.has_tasks:
        yield {"alertname": "RidehailWorkersAbsent", "service": definition.name, "severity": "page"}


def calls(service: str, promised: list[Objective]) -> Iterator[Case]:
    """Yields the calls of a service: its first method fails, its last is slow, the others are well or idle."""
    for number, it in enumerate(promised):
        labels = f'service="{service}", grpc_method="{it.method}"'
        is_failing, is_slow = number == 0, it is promised[-1]
        if number % 3 == 1 and not is_slow:
            continue
        edges = {it.within_s: GOOD if is_failing or is_slow else CALLS}
        yield from histogram(labels, "OK", {**edges, "+Inf": GOOD if is_failing else CALLS})
        if is_failing:
            yield from histogram(labels, "UNAVAILABLE", {"+Inf": CALLS - GOOD})


def histogram(labels: str, status: str, edges: dict[Any, int]) -> Iterator[Case]:
    for edge, number in edges.items():
        series = f'grpc_server_call_duration_seconds_bucket{{{labels}, grpc_status="{status}", le="{edge}"}}'
        yield {"series": series, "values": f"0+{number}x{MINUTES}"}
    series = f'grpc_server_call_duration_seconds_count{{{labels}, grpc_status="{status}"}}'
    yield {"series": series, "values": f"0+{edges['+Inf']}x{MINUTES}"}


def troubles(service: str, promised: list[Objective]) -> Iterator[dict[str, str]]:
    failing, slow = promised[0], promised[-1]
    method = {"service": service, "grpc_method": failing.method}
    yield {"alertname": "RidehailCallsFailing", **method, "severity": failing.failing}
    yield {"alertname": "RidehailCallsFailingSlowly", **method, "severity": "ticket"}
    if slow is not failing:
        method = {"service": service, "grpc_method": slow.method}
        yield {"alertname": "RidehailCallsSlow", **method, "severity": slow.slow}
        yield {"alertname": "RidehailCallsSlowForDays", **method, "severity": "ticket"}


def fired(at: str, expected: list[dict[str, str]]) -> Case:
    """Returns a question: exactly these alerts fire."""
    return {
        "expr": 'count by (alertname, service, grpc_method, severity) (ALERTS{alertstate="firing"})',
        "eval_time": at,
        "exp_samples": [
            {"labels": "{" + ", ".join(f'{key}="{value}"' for key, value in labels.items()) + "}", "value": 1}
            for labels in expected
        ],
    }
