"""Which files are generated, and whether the copies on disk are up to date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ridehail_servers import resources
from ridehail_servers.chassis.access import AccessPolicy
from ridehail_servers.chassis.config import load
from ridehail_servers.chassis.problems import Problems
from ridehail_servers.chassis.service_definition import ServiceDefinition

from .dashboards import grafana_files
from .objectives import Promises, unknown_methods
from .rules import prometheus_files


class StaleFiles(Problems):
    """Generated files are not what the contracts and definitions make of them."""


def generated(definitions: Sequence[ServiceDefinition]) -> Mapping[Path, str]:
    """Returns the content of each generated file by its path in the folder `deploy`."""
    promises = load(resources.folder("deploy") / "objectives.yaml", Promises)
    access = load(resources.folder("config") / "access.yaml", AccessPolicy)
    folders = {"prometheus": prometheus_files, "grafana": grafana_files}
    return {
        Path(folder, name): text
        for folder, files in folders.items()
        for name, text in files(definitions, promises, access).items()
    }


def write(folder: Path, definitions: Sequence[ServiceDefinition]) -> int:
    """Writes the files below a folder, and returns how many there are."""
    files = generated(definitions)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return len(files)


def check(folder: Path, definitions: Sequence[ServiceDefinition]) -> int:
    """Returns how many files there are; raises `StaleFiles` with those that differ from what `write` would write.

    The definitions are those of all services.
    """
    promises = load(resources.folder("deploy") / "objectives.yaml", Promises)
    if unknown := unknown_methods(definitions, promises):
        raise Problems(*(f"objectives.yaml: no service serves {method}" for method in unknown))
    files = generated(definitions)
    stale = [path for path, text in files.items() if not _is(folder / path, text)]
    if stale:
        raise StaleFiles(*(f"{folder / path} is stale" for path in stale))
    return len(files)


def _is(file: Path, text: str) -> bool:
    return file.is_file() and file.read_text() == text
