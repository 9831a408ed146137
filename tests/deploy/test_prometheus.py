"""A real Prometheus loads the rules as they ship, but for their durations, and every alert fires."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ridehail_servers.runtime.ports import free_port
from tests.support.prometheus import RULES, copied_rules, program
from tests.support.waiting import eventually

from .broken_suite import ABSENT, HEALTHY, WITHOUT_WORKERS, broken_suite

# Seconds in place of the rules' windows: long enough for samples that come each second, each longer than the last.
WINDOWS = {
    "5m": 5, "10m": 6, "15m": 7, "30m": 8, "1h": 10, "2h": 11, "3h": 12, "6h": 14, "1d": 16, "3d": 20,
}  # fmt: skip
FOR_S = 2


def shortened(rules: str) -> str:
    """Returns rules with short durations, and nothing else changed."""
    rules = re.sub(r"\[(\d+[mhd])\]", lambda found: f"[{WINDOWS[found[1]]}s]", rules)
    rules = re.sub(r"\boffset (\d+[mhd])", lambda found: f"offset {WINDOWS[found[1]]}s", rules)
    rules = re.sub(r"^( +for:) \d+[mh]$", rf"\1 {FOR_S}s", rules, flags=re.M)
    return re.sub(r"^( +interval:) \d+[smh]$", r"\1 1s", rules, flags=re.M)


def configuration(exporter: str, rule_files: list[Path]) -> dict[str, Any]:
    """Returns the configuration that ships, with targets of this machine; one of them does not respond."""
    shipped = yaml.safe_load((RULES / "prometheus.yaml").read_text())
    jobs = []
    for job in shipped["scrape_configs"]:
        del job["dns_sd_configs"]
        targets = [exporter, "127.0.0.1:1"] if job["job_name"] == "ridehail-order-core" else [exporter]
        jobs.append({**job, "metrics_path": f"/{job['job_name']}", "static_configs": [{"targets": targets}]})
    return {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(file) for file in rule_files],
        "scrape_configs": jobs,
    }


class Prometheus:
    def __init__(self, address: str) -> None:
        self._address = address

    def get(self, path: str) -> Any:  # JSON
        with urllib.request.urlopen(f"http://{self._address}/api/v1/{path}", timeout=20) as response:
            return json.load(response)["data"]

    def firing(self) -> list[dict[str, str]]:
        return [alert["labels"] for alert in self.get("alerts")["alerts"] if alert["state"] == "firing"]


@pytest.fixture(scope="module")
def prometheus(sockets: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    binary = program("prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    copies = copied_rules(folder / "rules", shortened)
    with broken_suite() as exporter:
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration(exporter, copies)))
        address = f"127.0.0.1:{free_port('127.0.0.1', 0)}"
        command = [
            binary,
            f"--config.file={folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={address}",
        ]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "GOMAXPROCS": "1"})
        try:
            running = Prometheus(address)
            eventually(lambda: running.get("status/buildinfo"), unless=urllib.error.URLError)
            yield running
        finally:
            process.terminate()
            process.wait(20)


def test_every_alert_fires_and_no_rule_fails(prometheus: Prometheus) -> None:
    groups = prometheus.get("rules")["groups"]
    alerts = {rule["name"] for group in groups for rule in group["rules"] if rule["type"] == "alerting"}
    assert len(alerts) > 40

    silent = set(alerts)

    def all_have_fired() -> bool:
        silent.difference_update(labels["alertname"] for labels in prometheus.firing())
        if silent:
            raise AssertionError(f"did not fire: {sorted(silent)}")
        return True

    assert eventually(all_have_fired, unless=AssertionError)

    for group in prometheus.get("rules")["groups"]:
        for rule in group["rules"]:
            assert rule["health"] == "ok", rule

    def only_the_broken_fire() -> bool:
        firing = prometheus.firing()
        assert {one["severity"] for one in firing} == {"page", "ticket"}
        assert not [one for one in firing if one.get("service") == HEALTHY]
        assert {one["service"] for one in firing if one["alertname"] == "RidehailServiceAbsent"} == {ABSENT}
        assert {one["service"] for one in firing if one["alertname"] == "RidehailWorkersAbsent"} == {WITHOUT_WORKERS}
        return True

    # A scrape that a busy machine was too slow for is an absence, too, until the next one.
    assert eventually(only_the_broken_fire, unless=AssertionError)
