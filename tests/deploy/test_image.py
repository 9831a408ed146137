"""The image holds what the lock names, and compose.yaml runs every service and worker as its definition says."""

from __future__ import annotations

import configparser
import graphlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from deploy.image import generate_compose, locked_requirements
from ridehail_servers import cli, suite
from ridehail_servers.chassis.service_definition import ServiceDefinition
from ridehail_servers.chassis.settings import ServerTuning
from ridehail_servers.command_line.options import addresses, database_urls
from tests.support.installed import needed_by

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
CONTAINERS: Mapping[str, Any] = COMPOSE["services"]
OURS = {name: it for name, it in CONTAINERS.items() if it["image"] == CONTAINERS["migrate"]["image"]}
SERVERS = {name: it for name, it in OURS.items() if it.get("command", [""])[0] == "serve"}
WORKERS = {name: it for name, it in OURS.items() if it.get("command", [""])[0] == "worker"}
TUNING = ServerTuning()

pytestmark = pytest.mark.unit


# --- the image


@pytest.mark.parametrize("extras", [[], ["native"], ["native", "archive"], ["yt"], ["server"]], ids=",".join)
def test_the_image_installs_what_the_extras_need_as_the_lock_has_it(extras: list[str]) -> None:
    lock = (ROOT / "requirements.lock").read_text()
    text = locked_requirements.locked(lock, locked_requirements.stated((ROOT / "setup.cfg").read_text(), ["", *extras]))
    names = {locked_requirements.normal(line) for line in text.splitlines() if "==" in line}
    needed = needed_by(metadata.requires("ridehail") or (), extras)
    assert needed <= names
    # What the lock has besides is for other platforms.
    assert not names & (metadata_of_dev() - needed)
    assert all(block in lock for block in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE))


def metadata_of_dev() -> frozenset[str]:
    return needed_by(metadata.requires("ridehail") or (), ["dev", "embedded", "bench"])


def test_the_lock_has_what_the_wheel_is_built_with() -> None:
    wanted = set(
        map(
            locked_requirements.normal, tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
        )
    )
    text = locked_requirements.locked((ROOT / "requirements.lock").read_text(), wanted)
    assert wanted <= {locked_requirements.normal(line) for line in text.splitlines() if "==" in line}


def test_every_extra_of_the_image_is_one_of_the_distribution() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    found = [*re.findall(r'ARG EXTRAS="(.*)"', DOCKERFILE), *re.findall(r'EXTRAS="(.*?)"', DOCKERFILE)]
    found.append(CONTAINERS["keys"]["build"]["args"]["EXTRAS"].partition(":-")[2].rstrip("}"))
    assert {word for words in found for word in words.split()} <= set(setup["options.extras_require"])


def test_the_build_sees_all_that_the_wheel_is_made_of() -> None:
    seen = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    setup = (ROOT / "setup.py").read_text()
    (roots, resources) = (
        re.findall(r'"(\w+)"', line) for line in re.findall(r"^(?:SOURCE_ROOTS|RESOURCES) .*", setup, re.M)
    )
    assert {*roots, *(name for name in resources), "setup.py", "setup.cfg", "pyproject.toml", "README.md"} <= seen
    assert all((ROOT / name).exists() for name in seen)


# --- compose.yaml


def test_the_compose_file_is_what_the_definitions_make() -> None:
    assert generate_compose.rendered() == (ROOT / "compose.yaml").read_text(), "run `make compose`"


def test_every_service_is_served_and_every_worker_runs_by_itself() -> None:
    assert {name: it["command"][1:] for name, it in SERVERS.items()} == {name: [name] for name in suite.SERVICES}
    with_tasks = [name for name in suite.SERVICES if suite.SERVICES[name].has_tasks]
    assert {name: it["command"][1] for name, it in WORKERS.items()} == {f"{name}-worker": name for name in with_tasks}
    assert all(set(it["depends_on"]) == {it["command"][1]} for it in WORKERS.values())


def definition_of(container: Mapping[str, Any]) -> ServiceDefinition:
    return suite.SERVICES[container["command"][1]]


@pytest.mark.parametrize("name", [*SERVERS, *WORKERS])
def test_a_service_reaches_what_its_definition_names_and_no_more(name: str) -> None:
    container = CONTAINERS[name]
    definition, environment = definition_of(container), container["environment"]
    assert set(addresses([definition.name], environment["RIDEHAIL_ADDRESSES"].split())) <= set(SERVERS)
    assert set(container["networks"]) == {
        "suite",
        *(["database"] if definition.schema else []),
        *(["cache"] if definition.needs_cache else []),
    }
    assert ("RIDEHAIL_CACHE_URL" in environment) == definition.needs_cache
    assert ("RIDEHAIL_DATABASE_URL" in environment) == (definition.schema is not None)
    assert environment.get("RIDEHAIL_DATABASE_URL", "").startswith(
        f"postgresql://ridehail_{definition.schema}@" if definition.schema else ""
    )
    mounted = {it["target"]: it for it in container["volumes"] if isinstance(it, dict)}
    assert all(it["read_only"] for it in mounted.values())
    assert {target: it["volume"]["subpath"] for target, it in mounted.items()} == {
        "/keys": f"services/{definition.name}",
        **({"/passwords": definition.name} if definition.schema else {}),
    }


def test_servers_start_after_those_that_they_call_and_some_order_is_possible() -> None:
    waits = {name: set(it["depends_on"]) - {"keys", "migrate"} for name, it in SERVERS.items()}
    started = list(graphlib.TopologicalSorter(waits).static_order())
    assert set(started) == set(suite.SERVICES)
    against = {
        frozenset((name, it))
        for name in suite.SERVICES
        for it in suite.SERVICES[name].dependencies
        if started.index(it) > started.index(name)
    }
    assert against == {frozenset(("family", "route-sharing"))}, "these call each other"


def test_any_command_can_reach_what_the_services_can_by_their_roles() -> None:
    container = CONTAINERS["ridehail"]
    assert set(container["networks"]) == {
        network for it in (*SERVERS.values(), *WORKERS.values()) for network in it["networks"]
    }
    urls = database_urls(list(suite.SERVICES), None, environment=container["environment"])
    assert {name: url.split("@")[0] for name, url in urls.items()} == {
        name: f"postgresql://ridehail_{suite.SERVICES[name].schema}"
        for name in suite.SERVICES
        if suite.SERVICES[name].schema
    }


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_is_asked_for_its_health_and_drains(name: str) -> None:
    assert CONTAINERS[name]["healthcheck"]["test"] == ["CMD", "ridehail", "health", name]
    assert seconds(CONTAINERS[name]["stop_grace_period"]) > TUNING.drain_notice_s + TUNING.drain_grace_s


def test_a_worker_ends_its_tasks() -> None:
    assert all(seconds(it["stop_grace_period"]) > TUNING.tasks.drain_s for it in WORKERS.values())


def test_the_database_takes_the_connections_of_all_pools() -> None:
    (allowed,) = (int(word.partition("=")[2]) for word in CONTAINERS["postgres"]["command"] if "=" in word)
    pools = [name for name in [*SERVERS, *WORKERS] if definition_of(CONTAINERS[name]).schema]
    assert allowed > len(pools) * (TUNING.pool.max_size + 1)


def commands() -> Iterator[tuple[str, list[str]]]:
    for name, container in OURS.items():
        if command := container.get("command"):
            yield name, command
        if "healthcheck" in container:
            (_cmd, _ridehail, *words) = container["healthcheck"]["test"]
            yield f"health of {name}", words


@pytest.mark.parametrize("command", [pytest.param(words, id=name) for name, words in commands()])
def test_the_command_line_understands_every_command(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIDEHAIL_ADDRESSES", COMPOSE["x-environment"]["RIDEHAIL_ADDRESSES"])
    found = typer.main.get_command(cli.app)
    words = list(command)
    while (inner := getattr(found, "commands", {}).get(words[0] if words else "")) is not None:
        found, words = inner, words[1:]
    found.make_context("ridehail", words, resilient_parsing=False, max_content_width=80).close()


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_may_do_little_and_its_image_has_a_version(name: str) -> None:
    container = CONTAINERS[name]
    assert container["security_opt"] == ["no-new-privileges:true"]
    if name != "postgres":  # its image begins as root, to give the volume to its user
        assert (container["read_only"], container["cap_drop"]) == (True, ["ALL"])
    assert re.search(r":v?\d+\.\d+(\.\d+)?(-\w+)?}$", container["image"]), container["image"]


def test_only_the_public_listener_is_open_to_other_machines() -> None:
    ports = [port for container in CONTAINERS.values() for port in container.get("ports", ())]
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == ["${RIDEHAIL_HTTP_PORT:-8080}:8080"]


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))
