"""Checks the files that a process reads at its start, so that all that is wrong is reported at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ridehail_servers.chassis.access import AccessPolicy
from ridehail_servers.chassis.config import ConfigError, Refused, load
from ridehail_servers.chassis.experiments import Experiments
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.methods import method_table
from ridehail_servers.chassis.problems import ProblemList
from ridehail_servers.chassis.service_definition import ServiceDefinition
from ridehail_servers.chassis.settings import ProcessSettings, ServerTuning
from ridehail_servers.chassis.tls import TlsFiles

Role = Literal["serve", "work"]


@dataclass(frozen=True, slots=True)
class FileCheck:
    """A file, or some of a folder.

    Attributes:
        files: As `eulas.yaml` or `tickets/eulas/*.private.pem`.
        services: Who needs it; empty: everybody.
        check: Raises an explained error if it does not fit.
    """

    files: str
    services: Sequence[str]
    check: Callable[[], object]


def config_checks(definitions: Sequence[ServiceDefinition], folder: Path) -> Iterator[FileCheck]:
    """Yields the configuration files of some services, judged as their servers do."""
    yield FileCheck("server.yaml", (), lambda: load(folder / "server.yaml", ServerTuning))
    yield FileCheck("access.yaml", (), lambda: _check_access(folder / "access.yaml", definitions))
    yield FileCheck("flags.json", (), lambda: Experiments(folder / "flags.json"))
    for name in sorted({name for definition in definitions for name in definition.configs}):
        readers = [definition for definition in definitions if name in definition.configs]

        def check(name: str = name, readers: Sequence[ServiceDefinition] = readers) -> None:
            for reader in readers:
                load(folder / name, reader.configs[name])

        yield FileCheck(name, [reader.name for reader in readers], check)


def key_checks(definitions: Sequence[ServiceDefinition], folder: Path, role: Role = "serve") -> Iterator[FileCheck]:
    """Yields the keys of some services. Servers verify tickets, unless only the gateway calls them; workers do not."""
    served = [method for definition in definitions for method in method_table(definition).values()]
    if role == "serve" and not all(method.by_gateway_key for method in served):
        yield FileCheck("tickets/*/*.public.pem", (), lambda: KeyRing(folder / "tickets"))
    for definition in definitions:
        if definition.dependencies:

            def signs(name: str = definition.name) -> None:
                KeyRing(folder / "tickets", verifies=False).signing_key(name)

            yield FileCheck(f"tickets/{definition.name}/*.private.pem", [definition.name], signs)
        for need in definition.keys:

            def fits(check: Callable[[Path], object] = need.check) -> None:
                check(folder)

            yield FileCheck(need.files, [definition.name], fits)


def tls_checks(folder: Path | None) -> Iterator[FileCheck]:
    """Yields the files of TLS, if there is a folder of them."""
    if folder is not None:
        yield FileCheck("ca.pem, cert.pem, key.pem", (), lambda: TlsFiles(folder))


def problems_of(checks: Iterable[FileCheck]) -> list[str]:
    """Returns a line for each thing that is wrong with files."""
    found = ProblemList()
    for one in checks:
        with found.noted():
            one.check()
    return found.lines


def problems(definitions: Sequence[ServiceDefinition], settings: ProcessSettings, role: Role = "serve") -> list[str]:
    """Returns a line for each thing in files that keeps a process from starting."""
    return problems_of(
        [
            *config_checks(definitions, settings.config_dir),
            *key_checks(definitions, settings.keys_dir, role),
            *tls_checks(settings.tls_dir),
        ]
    )


def _check_access(file: Path, definitions: Sequence[ServiceDefinition]) -> None:
    try:
        load(file, AccessPolicy).check_lists(
            method.name for definition in definitions for method in method_table(definition).values()
        )
    except Refused as error:
        raise ConfigError(file, error.key, str(error)) from error
