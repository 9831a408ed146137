"""The rules and the dashboards read only what the servers export, and say what the on-call should do."""

from __future__ import annotations

import importlib
import itertools
import json
import pkgutil
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
import yaml
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

import ridehail_servers
from ridehail.common.v1.error_reason_pb2 import ErrorReason
from ridehail_servers import resources, suite
from ridehail_servers.chassis.methods import method_table
from tests.support.calls import rpcs
from tests.support.suite_in_process import SuiteInProcess
from tests.support.waiting import until

from .exercised_suite import Scrape, exercised_suite
from .queries import SYNTHETIC, TARGET_LABELS, Query, read, templates

ROOT = Path(__file__).parents[2]
PROMETHEUS = resources.folder("deploy") / "prometheus"
DASHBOARDS = {
    file.stem: json.loads(file.read_text()) for file in sorted((resources.folder("deploy") / "grafana").glob("*.json"))
}
# Whoever makes a figure of it thinks twice: what is mapped is no memory in use.
NOT_SHOWN = {"process_virtual_memory_bytes"}
# Python's own parser takes seconds for them, in every process that collects tests.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def parsed(file: Path) -> Any:
    return yaml.load(file.read_text(), _LOADER)


RUNBOOK = (ROOT / "docs" / "monitoring.md").read_text()
CASES = [case for file in (Path(__file__).parent / "promtool").iterdir() for case in parsed(file)["tests"]]
# test_promtool.py makes their cases, for every service.
MADE_CASES = {"RidehailServiceAbsent", "RidehailWorkersAbsent"}
CONFIGURATION = parsed(PROMETHEUS / "prometheus.yaml")
JOBS = {job["job_name"] for job in CONFIGURATION["scrape_configs"]}

Rule = Mapping[str, Any]
Known = Mapping[str, frozenset[str]]


def rules() -> list[Rule]:
    files = [parsed(PROMETHEUS / name) for name in CONFIGURATION["rule_files"]]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


RECORDS = [rule for rule in rules() if "record" in rule]
# Those of the services, which are made of one template, are one.
ALERTS = list({rule["alert"]: rule for rule in rules() if "alert" in rule}.values())


def panels(*names: str) -> list[dict[str, Any]]:
    """Returns the panels of some dashboards, or of all."""
    everything = [panel for name in names or DASHBOARDS for panel in DASHBOARDS[name]["panels"]]
    return [panel for panel in everything if panel["type"] != "row"]


def name_of(thing: Rule) -> str:
    return str(thing.get("alert") or thing.get("record") or thing.get("title"))


@pytest.fixture(scope="module")
def exported() -> Iterator[Scrape]:
    """What a real suite exports after it has done everything once."""
    with exercised_suite() as scrape:
        yield scrape


@pytest.fixture(scope="module")
def known(exported: Scrape) -> dict[str, frozenset[str]]:
    """The labels of every metric that a query may read: exported, as Prometheus stores it, or recorded."""
    labels = dict(SYNTHETIC)
    for name, own in {**defined(), **exported.labels}.items():
        labels[name] = frozenset(f"exported_{it}" if it in TARGET_LABELS else it for it in own) | TARGET_LABELS
    for rule in RECORDS:
        labels[rule["record"]] = (read(rule["expr"], labels).labels or frozenset()) | set(rule.get("labels", ()))
    return labels


def defined() -> dict[str, frozenset[str]]:
    """Returns the labels of the metrics that modules of the servers define, seen or not."""
    for module in pkgutil.walk_packages(ridehail_servers.__path__, "ridehail_servers."):
        if module.name.rpartition(".")[2] != "__main__":
            importlib.import_module(module.name)
    found: dict[str, frozenset[str]] = {}
    for metric, names in tuple(REGISTRY._collector_to_names.items()):
        if isinstance(metric, MetricWrapperBase) and names[0].startswith(("ridehail_", "grpc_")):
            labels = frozenset(metric._labelnames)
            found |= {name: labels | {"le"} if name.endswith("_bucket") else labels for name in names}
    return found


def placed(expression: str) -> str:
    """Returns a query of the dashboard as Grafana would send it, except for its variables in conditions."""
    return expression.replace("$__rate_interval", "5m")


def queries(known: Known) -> Iterator[tuple[str, Query]]:
    """Yields every query with its place."""
    for rule in rules():
        yield name_of(rule), read(rule["expr"], known)
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], read(placed(target["expr"]), known)
    for dashboard in DASHBOARDS.values():
        for annotation in dashboard["annotations"]["list"]:
            yield annotation["name"], read(annotation["expr"], known)
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                asked = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"])
                assert asked is not None
                query = read(asked[1], known)
                assert asked[2] in (query.labels or ())
                yield variable["name"], query


# --- what is read is there


@pytest.mark.parametrize("file", CONFIGURATION["rule_files"])
def test_a_rule_reads_only_what_is_exported(file: str, known: Known) -> None:
    for group in parsed(PROMETHEUS / file)["groups"]:
        for rule in group["rules"]:
            query = read(rule["expr"], known)
            assert query.metrics or rule["expr"].startswith("vector("), name_of(rule)
            texts = " ".join(str(text) for text in rule.get("annotations", {}).values())
            labels = (query.labels or frozenset()) | set(rule.get("labels", {}))
            assert templates(texts) <= labels, name_of(rule)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_panel_reads_only_what_is_exported(name: str, known: Known) -> None:
    for panel in panels(name):
        for target in panel["targets"]:
            query = read(placed(target["expr"]), known)
            assert templates(target["legendFormat"]) <= (query.labels or frozenset()), name_of(panel)


def test_every_value_in_a_condition_can_occur(
    known: Known, exported: Scrape, suite_with_tasks: SuiteInProcess, config_dir: Path
) -> None:
    tasks = {task.name for _definition, service in suite_with_tasks.built.services for task in service.tasks}
    possible = {
        "grpc_method": {rpc.name for rpc in rpcs()},
        "grpc_status": {code.name for code in grpc.StatusCode},
        "reason": {name.removeprefix("ERROR_REASON_") for name in ErrorReason.DESCRIPTOR.values_by_name},
        "task": tasks,
        "service": set(suite.SERVICES),
        "steady": {"true", "false"},
        "envoy_response_code_class": {"1", "2", "3", "4", "5"},
        "file": {file.name for file in config_dir.iterdir()},
        "job": JOBS,
        "process": {"serve-1", "authorize-1", "work-1", "supervisor", "envoy"},
        "alertname": {name_of(rule) for rule in ALERTS},
        "alertstate": {"firing"},
        "severity": {"page", "ticket"},
    }
    variables = {variable["name"] for one in DASHBOARDS.values() for variable in one["templating"]["list"]}
    checked = set()
    for place, query in queries(known):
        for matcher in query.matchers:
            if matcher.value.startswith("$"):
                assert matcher.value[1:] in variables, f"{place}: {matcher}"
            else:
                seen = exported.values.get((matcher.metric, matcher.label.removeprefix("exported_")), set())
                assert matcher.fits(possible.get(matcher.label, seen)), f"{place}: {matcher}"
                checked.add(matcher.label)
    assert {"grpc_method", "grpc_status", "reason", "task", "outcome", "le", "job", "exported_job"} <= checked


@pytest.fixture(scope="module")
def shown(known: Known) -> set[str]:
    """The metrics on dashboards."""
    return set().union(*(underlying(read(placed(t["expr"]), known)) for panel in panels() for t in panel["targets"]))


def test_every_seen_metric_is_shown_and_documented(shown: set[str], exported: Scrape) -> None:
    table = (ROOT / "docs" / "operations.md").read_text()
    for name in exported.labels:
        if name.startswith("envoy_") or name in NOT_SHOWN:
            continue  # Envoy's own pages list its hundreds
        family = re.sub(r"_(bucket|count|sum)$", "", name)
        assert any(other.startswith(family) for other in shown), name
        assert f"| `{family}` |" in table, name


# --- the rules


def test_the_records_of_a_family_differ_by_their_window_only() -> None:
    families: dict[tuple[str, str], set[str]] = {}
    for rule in RECORDS:
        if rule["record"].endswith("_budget:ratio"):
            continue
        named = re.fullmatch(r"(.*rate)(\d+[mhd])", rule["record"])
        assert named is not None
        name, window = named.groups()
        assert f"[{window}]" in rule["expr"]
        of_service = re.search(r'service="([^"]+)"', rule["expr"])
        key = name, of_service[1] if of_service else ""
        families.setdefault(key, set()).add(re.sub(rf"\b(rate)?{window}\b", r"\1", rule["expr"]))
    assert len(families) == 2 + len(suite.SERVICES)
    for family, expressions in families.items():
        assert len(expressions) == 1, family


def test_every_method_of_every_service_has_objectives() -> None:
    served = {(name, method.name) for name in suite.SERVICES for method in method_table(suite.SERVICES[name]).values()}
    for kind in ("failed", "slow"):
        budgets = [it["labels"] for it in RECORDS if it["record"] == f"service_method:ridehail_{kind}_budget:ratio"]
        assert {(it["service"], it["grpc_method"]) for it in budgets} == served
        assert len(budgets) == len(served)


def test_everything_that_has_metrics_is_scraped() -> None:
    workers = {f"{name}-worker" for name in suite.SERVICES if suite.SERVICES[name].has_tasks}
    assert {f"ridehail-{name}" for name in {*suite.SERVICES, *workers, "gateway"}} == JOBS


@pytest.mark.parametrize("rule", ALERTS, ids=name_of)
def test_an_alert_links_to_what_the_on_call_does(rule: Rule) -> None:
    # Alerts on methods have the severity of the method's objective.
    severity = rule.get("labels", {"severity": None})
    assert set(severity) == {"severity"}
    assert severity["severity"] in ({"page", "ticket"} if "group_left (severity" not in rule["expr"] else {None})
    notes = rule["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url"}
    assert re.search(r"^(kubectl|psql|grpcurl|curl|ridehail) ", notes["description"], re.M), "no command to begin with"
    assert notes["runbook_url"] == f"docs/monitoring.md#{rule['alert'].lower()}"
    section = re.search(rf"^### {rule['alert']}\n\n(.+?)(?=^#|\Z)", RUNBOOK, re.M | re.S)
    assert section, "no section in the runbook"


def test_every_section_of_the_runbook_is_of_an_alert() -> None:
    sections = re.findall(r"^### (.*)$", RUNBOOK, re.M)
    assert len(set(sections)) == len(sections)
    assert set(sections) == {name_of(rule) for rule in ALERTS}


def statements(text: str) -> list[list[str]]:
    """Returns the statements of every psql command in a text."""
    return [re.findall(r'-c "([^"]*)"', command) for command in re.findall(r"^psql .*$", text, re.M)]


async def test_the_statements_in_the_alerts_run(database_url: str) -> None:
    commands = [command for rule in ALERTS for command in statements(rule["annotations"]["description"])]
    assert len(commands) > 5
    for command in commands:
        async with await psycopg.AsyncConnection.connect(database_url) as connection:
            for statement in command:
                await connection.execute(statement.encode())


async def test_the_runbook_brings_failed_tasks_back_but_not_refused_ones(suite_with_tasks: SuiteInProcess) -> None:
    for order_id, refused_because in (("failed", None), ("refused", "OTHER_DATA")):
        await suite_with_tasks.execute(
            "WITH request AS (INSERT INTO toll_roads.order_save_requests"
            " (order_id, created_at, can_switch_road, user_chose_toll_road, requested_at, refused_because)"
            " VALUES (%s, now(), true, true, now(), %s) RETURNING request_id)"
            " INSERT INTO toll_roads.procrastinate_jobs (queue_name, task_name, args, status)"
            " SELECT 'default', 'toll_roads_order_save', jsonb_build_object('subject', request_id), 'failed'"
            " FROM request",
            order_id,
            refused_because,
        )
    (command,) = [one for one in statements(RUNBOOK) if "toll_roads_order_save" in " ".join(one)]
    async with await psycopg.AsyncConnection.connect(suite_with_tasks.database_url) as connection:
        for statement in command:
            await connection.execute(statement.encode())
    async with suite_with_tasks.worker():
        await until(lambda: suite_with_tasks.rows("SELECT FROM toll_roads.orders WHERE order_id = 'failed'"))
    assert await suite_with_tasks.rows(
        "SELECT order_id, status::text FROM toll_roads.procrastinate_jobs"
        " JOIN toll_roads.order_save_requests ON request_id = (args->>'subject')::bigint"
    ) == [("refused", "failed")]


@pytest.mark.parametrize("rule", ALERTS, ids=name_of)
def test_an_alert_has_a_case_that_it_fires_at(rule: Rule) -> None:
    fired = [
        sample["labels"]
        for case in CASES
        for question in case["promql_expr_test"]
        for sample in question["exp_samples"]
    ]
    assert rule["alert"] in MADE_CASES or any(f'alertname="{rule["alert"]}"' in labels for labels in fired)


# --- the dashboard


@pytest.mark.parametrize("rule", ALERTS, ids=name_of)
def test_what_an_alert_watches_is_on_a_dashboard(rule: Rule, known: Known, shown: set[str]) -> None:
    assert underlying(read(rule["expr"], known)) <= shown


def underlying(query: Query) -> set[str]:
    """Returns the exported metrics that a query reads, directly or through recorded ones; a histogram by its name."""
    recorded = {rule["record"]: rule["expr"] for rule in RECORDS}
    found: set[str] = set()
    waiting = list(query.metrics)
    while waiting:
        name = waiting.pop()
        if name in recorded:
            waiting.extend(other for other in re.findall(r"[a-z_:]+[a-z0-9_:]*", recorded[name]) if other in recorded)
            found.update(re.findall(r"(?<!:)(?:grpc|ridehail)_[a-z_]+_(?:count|bucket)", recorded[name]))
        else:
            found.add(name)
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in found}


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_has_all_required_parts(name: str) -> None:
    dashboard = DASHBOARDS[name]
    everything = dashboard["panels"]
    assert dashboard["schemaVersion"] >= 41
    assert len({panel["id"] for panel in everything}) == len(everything)
    variables = {variable["name"] for variable in dashboard["templating"]["list"]} | {"__rate_interval"}
    assert set(re.findall(r"\$(\w+)", json.dumps([panel["targets"] for panel in panels(name)]))) <= variables
    for panel in panels(name):
        assert panel["description"], panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)
    rows = [panel["title"] for panel in everything if panel["type"] == "row"]
    assert len(set(rows)) == len(rows) > 0


def test_every_service_has_a_dashboard() -> None:
    assert set(DASHBOARDS) == {*suite.SERVICES, "overview", "personalstate"}


def test_no_two_dashboards_have_the_same_name() -> None:
    assert len({one["uid"] for one in DASHBOARDS.values()}) == len({one["title"] for one in DASHBOARDS.values()})
    assert len({one["uid"] for one in DASHBOARDS.values()}) == len(DASHBOARDS)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_no_panel_covers_another(name: str) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in DASHBOARDS[name]["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        columns = range(place["x"], place["x"] + place["w"])
        for cell in itertools.product(columns, range(place["y"], place["y"] + place["h"])):
            assert cell not in taken, f"{panel['title']} covers {taken.get(cell)}"
            taken[cell] = panel["title"]
