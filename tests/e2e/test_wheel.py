"""The distribution holds all that it needs, and its base install, from an index, none of the servers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from tests.support.command_line import ridehail
from tests.support.up import RunningCommand

ROOT = Path(__file__).parents[2]

PROGRAM = """
import importlib, pkgutil, sys
import ridehail_clients, ridehail_kernel
from ridehail_clients import TollRoadsClient, ticket_from_env

for shipped in (ridehail_clients, ridehail_kernel):
    for package in pkgutil.walk_packages(shipped.__path__, f"{shipped.__name__}."):
        importlib.import_module(package.name)
for name in sys.argv[2:]:
    importlib.import_module(name)
assert not {"psycopg", "pydantic", "ridehail_servers", "protovalidate"} & set(sys.modules)

with TollRoadsClient(sys.argv[1], ticket=ticket_from_env("RIDEHAIL_TICKET")) as toll_roads:
    answer = toll_roads.batch_retrieve_orders(order_ids=["demo-order-toll", "no-such-order"], timeout=20)
    print(sorted(answer.missing_order_ids + tuple(road.order_id for road in answer.orders)))
"""


WHERE = """
import importlib, pkgutil, sys
from pathlib import Path
import ridehail_servers
from ridehail_servers import resources
from ridehail_servers.gateway.configuration import default_descriptor_set

for package in pkgutil.walk_packages(ridehail_servers.__path__, "ridehail_servers."):
    if ".resources." not in package.name:
        importlib.import_module(package.name)
folders = [resources.folder(name) for name in ("config", "deploy", "migrations")]
found = [*folders, default_descriptor_set(), Path(ridehail_servers.__file__)]
print(all(path.is_relative_to(sys.argv[1]) for path in found))
"""


def modules_of(wheel: Path, top: str) -> list[str]:
    names = zipfile.ZipFile(wheel).namelist()
    return [
        name.removesuffix(".py").replace("/", ".")
        for name in names
        if name.startswith(f"{top}/") and name.endswith("_pb2.py")
    ]


def test_the_wheel_holds_all_that_the_servers_read(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("config", "deploy", "migrations"):
        for file in (ROOT / folder).rglob("*"):
            # Of the image and the chart servers read nothing.
            others = {"__pycache__", "image", "helm"} & set(file.parts)
            if file.is_file() and not others:
                assert f"ridehail_servers/resources/{file.relative_to(ROOT)}" in names
    assert {
        "ridehail/descriptors.binpb",
        "ridehail/py.typed",
        "ridehail_clients/py.typed",
        "ridehail_kernel/py.typed",
    } <= names
    # A top-level `buf`, `google` or `envoy` would collide with other distributions.
    assert {name.split("/")[0] for name in names if not name.split("/")[0].endswith(".dist-info")} == {
        "ridehail",
        "ridehail_clients",
        "ridehail_kernel",
        "ridehail_servers",
    }


def test_the_contracts_of_the_wheel_build_with_plain_protoc(wheel: Path, tmp_path: Path) -> None:
    """By the descriptor set alone, and from the sources with it for what they import."""
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    contracts = sorted(str(path.relative_to(ROOT / "proto")) for path in (ROOT / "proto/ridehail").rglob("*.proto"))
    assert all((site / one).read_bytes() == (ROOT / "proto" / one).read_bytes() for one in contracts)
    # The sources by themselves, so that nothing else of the wheel or of this checkout helps.
    copied = tmp_path / "proto"
    for one in contracts:
        (copied / one).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(site / one, copied / one)
    descriptors = f"--descriptor_set_in={site / 'ridehail/descriptors.binpb'}"
    for number, sources in enumerate(([], [f"-I{copied}"])):
        output = tmp_path / f"{number}.binpb"
        command = (sys.executable, "-m", "grpc_tools.protoc", *sources, descriptors, f"--descriptor_set_out={output}")
        ended = subprocess.run([*command, *contracts], capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 0, ended.stderr
        built = {one.name: one for one in FileDescriptorSet.FromString(output.read_bytes()).file}
        assert sorted(built) == contracts
        assert all(one.options.go_package.startswith("ridehail.internal/sdk/ridehail/") for one in built.values())


UV = (sys.executable, "-m", "uv")


def installed(folder: Path, interpreter: str, *words: str) -> Path:
    """Returns the interpreter of a new environment with these packages only."""
    python = folder / "venv" / "bin" / "python"
    create = (*UV, "venv", "--quiet", "--python", interpreter, str(python.parents[1]))
    for command in (create, (*UV, "pip", "install", "--quiet", "--python", str(python), *words)):
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
    return python


def test_the_base_install_calls_a_running_suite(wheel: Path, demo_suite: RunningCommand, tmp_path: Path) -> None:
    # The versions of the lock file, of the base dependencies only.
    constraints = tmp_path / "constraints.txt"
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    constraints.write_text("\n".join(line.split()[0] for line in lines if "==" in line and not line.startswith(" ")))
    python = installed(tmp_path, sys.executable, "--constraint", str(constraints), str(wheel))
    assert called_by(python, wheel, demo_suite, tmp_path) == "['demo-order-toll', 'no-such-order']"


def interpreters() -> list[str]:
    """Returns this interpreter, and one of each newer minor version that is installed."""
    found = {sys.version_info[:2]: sys.executable}
    for minor in range(sys.version_info[1] + 1, 20):
        on_path = shutil.which(f"python3.{minor}")
        by_pyenv = sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python"))
        if by_pyenv or on_path:
            found[3, minor] = str(by_pyenv[-1]) if by_pyenv else str(on_path)
    return list(found.values())


@pytest.mark.timeout(400)
@pytest.mark.parametrize("interpreter", interpreters())
def test_the_lowest_versions_that_are_allowed_call_a_running_suite(
    wheel: Path, demo_suite: RunningCommand, tmp_path: Path, interpreter: str
) -> None:
    python = installed(tmp_path, interpreter, "--resolution", "lowest-direct", str(wheel))
    assert called_by(python, wheel, demo_suite, tmp_path) == "['demo-order-toll', 'no-such-order']"


def called_by(python: Path, wheel: Path, demo_suite: RunningCommand, folder: Path) -> str:
    """Imports all that the wheel has for clients, calls the suite, and returns the response."""
    words = ("--src", "api-proxy", "--dst", "toll-roads", "--data-dir", str(demo_suite.data_dir))
    ticket = ridehail("ticket", *words).stdout.strip()
    ended = subprocess.run(
        [str(python), "-c", PROGRAM, demo_suite.ready["grpc"], *modules_of(wheel, "ridehail")],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
        env={**{name: value for name, value in os.environ.items() if name != "PYTHONPATH"}, "RIDEHAIL_TICKET": ticket},
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def test_the_installed_servers_find_their_files(wheel: Path, tmp_path: Path) -> None:
    """With all dependencies but without the checkout, the wheel's own copies are used."""
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    ended = subprocess.run(
        [sys.executable, "-c", WHERE, str(site)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        check=False,
    )
    assert ended.stdout.strip() == "True", ended.stderr
