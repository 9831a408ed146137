"""Commands that call a running service by TLS: its certificate names the service, whatever the address."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from ridehail_servers.chassis.tls import TlsFiles
from ridehail_servers.runtime.throwaway_tls import write_throwaway_tls
from tests.support.command_line import ridehail

# The address is in no certificate.
ELSEWHERE = "192.0.2.1"
COMMANDS = {"eulas": ("eulas", "list"), "user-data": ("user-data", "status", "a-job")}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    assert ridehail("keys", "create", "--keys-dir", str(folder)).returncode == 0
    return folder


@pytest.fixture
def tls(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    write_throwaway_tls(tmp_path / "tls", [request.param], host=ELSEWHERE)
    return tmp_path / "tls"


@pytest.fixture
def port(tls: Path) -> Iterator[int]:
    """A server without a service: it refuses every call that reaches it."""
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_secure_port("127.0.0.1:0", TlsFiles(tls).server_credentials(client_certificates=True))
    server.start()
    yield port
    server.stop(None).wait()


@pytest.mark.parametrize(("service", "tls"), [(name, name) for name in COMMANDS], indirect=["tls"])
def test_a_command_reaches_the_server_that_its_certificate_names(
    service: str, tls: Path, port: int, keys: Path
) -> None:
    address = f"{service}=127.0.0.1:{port}"
    shared = ("--address", address, "--keys-dir", str(keys), "--tls-dir", str(tls))
    ended = ridehail(*COMMANDS[service], *shared)
    assert ended.returncode == 1
    assert "UNIMPLEMENTED" in ended.stderr


@pytest.mark.parametrize("tls", ["eulas"], indirect=True)
def test_a_probe_reaches_the_server_of_this_machine_by_the_name_of_its_service(tls: Path, port: int) -> None:
    def probed(service: str) -> str:
        return ridehail("health", service, "--grpc-port", str(port), "--tls-dir", str(tls)).stderr

    assert "UNIMPLEMENTED" in probed("eulas")
    assert "UNAVAILABLE" in probed("family")
