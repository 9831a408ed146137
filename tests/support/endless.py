"""A service whose contracts set no deadline, so that a hanging call ends when the test wants it to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ridehail_servers import suite
from ridehail_servers.chassis.service_definition import ServiceDefinition
from tests.support.calls import Metadata
from tests.support.config_edits import edit

FOR_EVER_S = 3600.0
# The database itself ends nothing either.
PATIENT_POOL = {"lock_timeout_ms": 3_600_000, "statement_timeout_ms": 3_600_000}


def endless(service: str) -> ServiceDefinition:
    """Returns a service of the suite whose calls may take an hour and come from the gateway only."""
    definition = suite.SERVICES[service]
    contracts = tuple(replace(contract, gateway_deadline=FOR_EVER_S) for contract in definition.contracts)
    return replace(definition, contracts=contracts)


def admit_gateway(config_dir: Path, *paths: str) -> None:
    """Allows methods to the gateway only."""
    edit(config_dir / "access.yaml", {"methods": {path.removeprefix("/"): ["gateway"] for path in paths}})


def gateway_metadata(keys_dir: Path) -> Metadata:
    return (("x-ya-gateway-key", (keys_dir / "gateway.key").read_text().strip()),)
