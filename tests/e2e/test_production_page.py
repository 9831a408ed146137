"""docs/production.md: what it says of the services is so, and its commands, word for word, make a suite that serves."""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from ridehail_clients import open_async_channel, tls_from_dir
from ridehail_kernel.tls import CA
from ridehail_servers import resources, suite
from ridehail_servers.chassis.access import AccessPolicy
from ridehail_servers.chassis.config import load
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.methods import method_table
from ridehail_servers.chassis.passenger import Identity
from ridehail_servers.chassis.tickets import GATEWAY, TicketIssuer
from ridehail_servers.gateway.envoy_program import envoy_path
from ridehail_servers.runtime.throwaway_tls import write_throwaway_tls
from tests.support.command_line import ridehail
from tests.support.databases import empty_database
from tests.support.folders import shared_folder
from tests.support.redis_server import RedisServer
from tests.support.up import RIDEHAIL, processes_of
from tests.support.waiting import LIMIT_S, eventually

PAGE = (Path(__file__).parents[2] / "docs" / "production.md").read_text()
_FIRST_PORT = 23051


def commands() -> str:
    (found,) = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.S)
    return str(found)


def test_the_table_of_what_services_need_is_that_of_their_definitions() -> None:
    assert ridehail("services").stdout in PAGE


def test_the_commands_serve_every_service_and_run_every_worker() -> None:
    loops = [line.split() for line in re.findall(r"^for service in (.*); do$", commands(), flags=re.M)]
    workers = [name for name in suite.SERVICES if suite.SERVICES[name].has_tasks]
    assert loops == [list(suite.SERVICES), list(suite.SERVICES), workers]


@dataclass(frozen=True, slots=True)
class Production:
    folder: Path
    public_port: int
    doctor: str

    def address(self, service: str) -> str:
        return f"localhost:{_FIRST_PORT + list(suite.SERVICES).index(service)}"


@pytest.fixture(scope="module")
def production(postgres_url: str, running_redis: RedisServer) -> Iterator[Production]:
    """The page's commands, run by a shell, with other ports."""
    ports = {"50051": str(_FIRST_PORT), "8080": "23180", "8081": "23181", "9901": "23182"}
    script = re.sub("|".join(ports), lambda found: ports[found[0]], commands())
    with shared_folder() as folder, empty_database(postgres_url) as url:
        names = {*suite.SERVICES, *suite.ticket_sources(resources.folder("config")), GATEWAY, "localhost"}
        write_throwaway_tls(folder / "tls", sorted(names), host="127.0.0.1")
        programs = folder / "bin"
        programs.mkdir()
        (programs / "envoy").symlink_to(envoy_path())
        environment = {
            **os.environ,
            "PATH": f"{programs}:{RIDEHAIL.parent}:{os.environ['PATH']}",
            "RIDEHAIL_DATABASE_URL": url,
            "RIDEHAIL_CACHE_URL": running_redis.url,
        }
        shell = subprocess.Popen(
            ["bash", "-ec", f"{script}\nwait"],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            doctor = eventually(lambda: is_done(folder, shell), unless=FileNotFoundError, within=600)
            yield Production(folder, 23180, doctor)
        finally:
            os.killpg(shell.pid, signal.SIGTERM)
            shell.communicate(timeout=LIMIT_S)
            eventually(lambda: not processes_of(folder))  # the servers drain


def is_done(folder: Path, shell: subprocess.Popen[str]) -> str | None:
    """Returns the doctor's last word once it finds nothing bad."""
    if shell.poll() is not None:
        raise AssertionError(shell.stdout and shell.stdout.read())
    text = (folder / "logs" / "doctor").read_text()
    return text if "gateway: " in text and "bad " not in text else None


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(1300)
def test_the_doctor_finds_all_well_but_the_superuser_that_the_test_lends(production: Production) -> None:
    lines = production.doctor.splitlines()
    assert {line.split()[0] for line in lines} == {"ok", "warn"}
    assert {line.partition(": ")[2].partition(" -> ")[0] for line in lines if line.startswith("warn")} <= {
        "the role is a superuser",
        "refuses writes when it is full",
    }
    databases = {line.split(":")[0].rpartition(" ")[2] for line in lines if " schema " in line}
    assert databases == {name for name in suite.SERVICES if suite.SERVICES[name].schema}


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(1300)
@pytest.mark.parametrize("name", suite.SERVICES)
async def test_a_call_of_each_service_reaches_it(production: Production, name: str) -> None:
    """An empty request shows that caller, ticket and certificate are accepted, whether or not its rules refuse it."""
    if name == suite.AUTHORIZER:
        return  # only the gateway calls it, see below
    access = load(production.folder / "config" / "access.yaml", AccessPolicy)
    # Those for services first: some serve passengers only.
    method = min(method_table(suite.SERVICES[name]).values(), key=lambda it: it.for_passengers)
    source = min(access.methods[method.name])
    passenger = Identity("4000000001", "4000000001", "", "") if method.for_passengers else None
    ticket = TicketIssuer(KeyRing(production.folder / "keys" / "tickets"), source).issue(name, passenger=passenger)
    credentials = tls_from_dir(production.folder / "tls")
    channel = open_async_channel(production.address(name), credentials=credentials, server_name=name)
    async with channel:
        send: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/{method.name}")
        call = send(b"", metadata=(("x-ya-service-ticket", ticket),), timeout=LIMIT_S)
        assert await call.code() in {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(1300)
def test_a_passengers_call_goes_through_the_gateway_and_the_authorizer(production: Production) -> None:
    token = ridehail("token", "--uid", "4000000001", "--keys-dir", str(production.folder / "keys")).stdout.strip()
    request = urllib.request.Request(
        f"https://localhost:{production.public_port}/4.0/toll-roads/v1/order",
        data=json.dumps({"order_id": "nobody's", "has_toll_road": True, "created": "2026-11-20T12:00:00Z"}).encode(),
        headers={"authorization": f"Bearer {token}"},
    )
    trusted = ssl.create_default_context(cafile=production.folder / "tls" / CA)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=LIMIT_S, context=trusted)
    assert json.load(refused.value)["details"][0]["reason"] == "ORDER_NOT_FOUND"
