"""Renders Prometheus' files: what to scrape, recording rules, and the rules of each service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import Final

from ridehail_servers import resources
from ridehail_servers.chassis.access import AccessPolicy
from ridehail_servers.chassis.service_definition import ServiceDefinition

from .objectives import Promises, by_time, objectives
from .templates import OWN, templates

CONFIGURATION: Final = "prometheus.yaml"
RECORDING: Final = "recording.yaml"
SHARED: Final = ("calls.yaml", "gateway.yaml", "processes.yaml", "tasks.yaml")
"""Rules by hand, which tell services apart by their label."""

# Those of the alerts, by how often their rules are evaluated.
_WINDOWS: Final = {"short": ("5m", "30m", "1h"), "long": ("2h", "6h", "1d", "3d")}
_INTERVALS: Final = {"short": "30s", "long": "2m"}
_FAILED_EARLY: Final = ("INTERNAL", "RESOURCE_EXHAUSTED", "UNAVAILABLE", "UNIMPLEMENTED", "UNKNOWN", "DATA_LOSS")


def prometheus_files(
    definitions: Sequence[ServiceDefinition], promises: Promises, access: AccessPolicy
) -> Mapping[str, str]:
    """Returns the content of each file by its name: the generated ones, and those by hand of the same services."""
    found = templates("prometheus")
    shared = {
        "windows": _WINDOWS,
        "intervals": _INTERVALS,
        "failed": "|".join(("DEADLINE_EXCEEDED", *_FAILED_EARLY)),
        "failed_early": "|".join(_FAILED_EARLY),
    }
    files = {RECORDING: found.get_template(f"{RECORDING}.j2").render(shared)}
    for definition in definitions:
        promised = objectives(definition, promises, access)
        files[f"{definition.name}.yaml"] = found.get_template("service.yaml.j2").render(
            **shared,
            name=definition.name,
            has_tasks=definition.has_tasks,
            callers=[it.name for it in definitions if definition.name in it.dependencies],
            objectives=promised,
            by_time=by_time(promised),
        )
    files.update(_by_hand({it.name for it in definitions}))
    jobs = [job for it in definitions for job in _jobs(it)]
    configuration = found.get_template(f"{CONFIGURATION}.j2").render(
        rule_files=sorted(files, key=lambda name: (name != RECORDING, name)), jobs=jobs
    )
    return {**files, CONFIGURATION: configuration}


def _by_hand(services: Set[str]) -> Mapping[str, str]:
    """Returns the rules of all processes, and those on the own metrics of these services."""
    own = {f"{name}{OWN}" for name in services}
    files = [_folder() / name for name in SHARED] + [it for it in sorted(_folder().glob(f"*{OWN}")) if it.name in own]
    return {file.name: file.read_text() for file in files}


def _jobs(definition: ServiceDefinition) -> Iterable[str]:
    yield definition.name
    if definition.has_tasks:
        yield f"{definition.name}-worker"


def _folder() -> Path:
    return resources.folder("deploy") / "prometheus"
