"""Each install is whole: all commands explain themselves and it does its work, with just the packages it asks for.

The install of [embedded] also runs `ridehail up` in `test_up.py`, and the base install is installed from an index in
`test_wheel.py`.
"""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.command_line import ridehail
from tests.support.folders import shared_folder
from tests.support.installed import Install, foreign_environment, install, needed
from tests.support.ports import unused_port
from tests.support.up import start
from tests.support.waiting import LIMIT_S, eventually

CHECKOUT = Path(__file__).parents[2]

COMMANDS = """
import contextlib, importlib, io, json, pkgutil, sys
import ridehail_servers
from ridehail_servers.cli import app
from ridehail_servers.__main__ import main
from ridehail_servers.chassis.extras import ExtraMissing
from typer.main import get_command

def paths(command, path=()):
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from paths(inner, (*path, name))

def run(words):
    printed, complained, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(complained):
        try:
            main(words)
        except SystemExit as ended:
            code = ended.code or 0
    return code, printed.getvalue(), complained.getvalue()

def missing(modules):
    for name in modules:
        try:
            importlib.import_module(name)
        except ExtraMissing as error:
            yield name, str(error).rpartition(" ")[2]

asked = json.loads(sys.argv[1])
everything = [it.name for it in pkgutil.walk_packages(ridehail_servers.__path__, "ridehail_servers.")]
print(json.dumps({
    "help": {" ".join(path): run([*path, "--help"]) for path in paths(get_command(app))},
    "missing": dict(missing(asked["modules"] or [name for name in everything if ".resources" not in name])),
    "calls": [run(words) for words in asked["calls"]],
}))
"""

CALL = """
import sys
from ridehail_clients import OrderNotFound, TollRoadsClient, static_ticket
with TollRoadsClient(sys.argv[1], ticket=static_ticket(sys.argv[2])) as toll_roads:
    try:
        toll_roads.retrieve_order(order_id="nobody's", timeout=20)
    except OrderNotFound as error:
        print(error.reason)
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with shared_folder() as shared:
        yield shared


@pytest.fixture(scope="module")
def installed(wheel: Path, folder: Path, embedded: Install) -> Callable[[str], Install]:
    """Returns the install of an extra, or the base install."""
    installs = {"embedded": embedded}

    def of(extra: str) -> Install:
        if extra not in installs:
            installs[extra] = install(wheel, [extra] if extra else [], folder / (extra or "base"))
        return installs[extra]

    return of


@dataclass(frozen=True, slots=True)
class Tried:
    """What an install did, by one process of it.

    Attributes:
        missing: Module -> the extra that it asks for.
        calls: Exit code, output and error output of each call.
    """

    missing: dict[str, str]
    calls: list[tuple[int, str, str]]


def tried(
    installed: Install, *calls: Sequence[str], modules: Iterable[str] = (), environment: Mapping[str, str] | None = None
) -> Tried:
    """Lets all commands of an install explain themselves, imports modules of it (all by default), and makes calls."""
    asked = json.dumps({"calls": calls, "modules": list(modules)})
    ended = installed.run("python", "-c", COMMANDS, asked, environment=dict(environment or {}))
    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout.splitlines()[-1])
    assert {"", "up", "serve", "worker", "config init", "gateway check", "toll-roads archive"} <= set(result["help"])
    for path, (code, text, error) in result["help"].items():
        assert (code, error) == (0, ""), path
        assert f"Usage: {' '.join(('ridehail', *path.split()))}" in text
    return Tried(result["missing"], [(code, printed, complained) for code, printed, complained in result["calls"]])


def test_the_base_install_says_what_to_install(installed: Callable[[str], Install]) -> None:
    ended = installed("").run("ridehail", "--help")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "ridehail: typer is not installed: pip install 'ridehail[server]'\n"


ARCHIVE, EMBEDDED, YT = "'ridehail[archive]'", "'ridehail[embedded]'", "'ridehail[yt]'"
OF_ARCHIVE, OF_EMBEDDED = "ridehail_servers.toll_roads.retention.delta_archive", "ridehail_servers.runtime.up"


def test_the_servers_lack_three_extras_and_their_commands_name_them(
    installed: Callable[[str], Install], module_database_url: str, keys_dir: Path, tmp_path: Path
) -> None:
    environment = {"RIDEHAIL_DATABASE_URL": module_database_url, "RIDEHAIL_KEYS_DIR": str(keys_dir)}
    needing = {"up": EMBEDDED, "gateway check": EMBEDDED, "toll-roads archive": ARCHIVE}
    needing["toll-roads archive --archive-url yt://127.0.0.1:1/home"] = YT
    init = ("config", "init", str(tmp_path / "config"))
    did = tried(installed("server"), init, *map(str.split, needing), environment=environment)
    assert did.missing[OF_ARCHIVE] == ARCHIVE
    assert did.missing[OF_EMBEDDED] == EMBEDDED
    assert set(did.missing.values()) == {ARCHIVE, EMBEDDED, YT}
    (copied, *failed) = did.calls
    for (code, printed, complained), extra in zip(failed, needing.values(), strict=True):
        assert (code, printed) == (1, "")
        assert complained.splitlines()[-1].startswith("ridehail: ")
        assert complained.splitlines()[-1].endswith(f": pip install {extra}")
    # The default configuration is copied out of the wheel.
    shipped = {file.name: file.read_bytes() for file in (CHECKOUT / "config").iterdir()}
    assert {file.name: file.read_bytes() for file in (tmp_path / "config").iterdir()} == shipped
    assert copied == (0, "".join(f"{tmp_path / 'config' / name}\n" for name in sorted(shipped)), "")


def test_the_native_transport_is_one_package_more(installed: Callable[[str], Install], wheel: Path) -> None:
    assert needed(wheel, ["native"]) - installed("server").distributions == {"h2corn"}


def test_the_archive_is_written_by_its_install(
    installed: Callable[[str], Install], module_database_url: str, tmp_path: Path
) -> None:
    call = ("toll-roads", "archive", "--database-url", module_database_url, "--archive-url", str(tmp_path / "archive"))
    did = tried(installed("archive"), call, modules=[OF_ARCHIVE, OF_EMBEDDED])
    assert did.missing == {OF_EMBEDDED: EMBEDDED}
    assert did.calls == [(0, "archive: archive_orders nothing to do, archive_log nothing to do\n", "")]
    assert (tmp_path / "archive" / "orders" / "_delta_log").is_dir()


def test_the_embedded_envoy_takes_the_configuration(installed: Callable[[str], Install]) -> None:
    did = tried(installed("embedded"), ("gateway", "check"), modules=[OF_ARCHIVE, OF_EMBEDDED])
    assert did.missing == {OF_ARCHIVE: ARCHIVE}
    assert did.calls == [(0, "the gateway's configuration is valid\n", "")]


def test_servers_are_called_by_the_base_install(
    installed: Callable[[str], Install], module_database_url: str, keys_dir: Path, tmp_path: Path
) -> None:
    words = ("serve", "toll-roads", "--grpc-port", "0", "--metrics-port", "0", "--address", "order-core=127.0.0.1:1")
    environment = {"RIDEHAIL_DATABASE_URL": module_database_url, "RIDEHAIL_KEYS_DIR": str(keys_dir)}
    server = start(words, tmp_path / "output", environment=environment, script=installed("server").script)
    try:
        ticket = ridehail("ticket", "--src", "api-proxy", "--dst", "toll-roads", environment=environment).stdout.strip()
        called = installed("").run("python", "-c", CALL, server.ready["grpc"], ticket)
        assert (called.stdout, called.stderr) == ("ORDER_NOT_FOUND\n", "")
    finally:
        assert server.stop(signal.SIGTERM) == 0


def test_what_the_servers_are_compared_with_runs_by_the_install_for_benchmarks(
    installed: Callable[[str], Install], module_database_url: str
) -> None:
    python, port = installed("bench").python, unused_port()
    environment = {**foreign_environment(), "PYTHONPATH": str(CHECKOUT), "BENCH_DATABASE_URL": module_database_url}
    helped = tried(installed("bench"), modules=["bench.__main__", OF_ARCHIVE, OF_EMBEDDED], environment=environment)
    assert helped.missing == {}
    words = ("-m", "uvicorn", "bench.fastapi_toll_roads:app", "--loop", "uvloop", "--http", "httptools")
    peer = subprocess.Popen([str(python), *words, "--port", str(port)], env=environment, stderr=subprocess.DEVNULL)
    try:

        def schema() -> object:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/openapi.json", timeout=LIMIT_S) as response:
                return json.load(response)["paths"]

        assert eventually(schema, unless=OSError) != {}
    finally:
        peer.terminate()
        assert peer.wait(LIMIT_S) is not None


def test_a_copy_of_the_configuration_keeps_what_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    assert ridehail("config", "init", str(folder)).returncode == 0
    (folder / "eulas.yaml").write_text("mine")
    (folder / "flags.json").unlink()
    again = ridehail("config", "init", str(folder))
    assert (folder / "eulas.yaml").read_text() == "mine"
    assert (folder / "flags.json").is_file()
    assert f"{folder / 'eulas.yaml'}: kept, it was there" in again.stdout.splitlines()
    assert f"{folder / 'flags.json'}" in again.stdout.splitlines()
    refused = ridehail("config", "init", str(folder / "eulas.yaml"))
    assert (refused.returncode, refused.stderr) == (1, f"ridehail: {folder / 'eulas.yaml'} is not a folder\n")
