"""`make sdk` generates clients in Go and TypeScript that call a running suite and read its errors."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.command_line import ridehail
from tests.support.up import RunningCommand

ROOT = Path(__file__).parents[2]
CLIENTS = {
    "go": ["build/sdk/go/bin/example"],
    "typescript": ["node", "build/sdk/typescript/example.js"],
}
NO_TOOLS = [tool for tool in ("go", "node", "npm") if shutil.which(tool) is None]


def test_the_lock_pins_what_the_contracts_depend_on() -> None:
    config, lock = (yaml.safe_load((ROOT / "proto" / name).read_text()) for name in ("buf.yaml", "buf.lock"))
    assert [one["name"] for one in lock["deps"]] == config["deps"]


def test_the_example_in_go_uses_the_packages_that_the_contracts_name() -> None:
    module = (ROOT / "proto/sdk/go/go.mod").read_text().split()[1]
    for proto in (ROOT / "proto/ridehail").rglob("*.proto"):
        folder = proto.parent.relative_to(ROOT / "proto")
        package = folder.parts[1] + folder.parts[2]
        assert f'option go_package = "{module}/{folder};{package}";' in proto.read_text()


@pytest.fixture(scope="module")
def sdk() -> None:
    if NO_TOOLS:
        pytest.skip(f"not installed: {', '.join(NO_TOOLS)}")
    built = subprocess.run(["make", "sdk"], cwd=ROOT, capture_output=True, text=True, timeout=500, check=False)
    assert built.returncode == 0, built.stdout + built.stderr


@pytest.mark.long
@pytest.mark.parametrize("language", CLIENTS)
def test_a_generated_client_calls_a_suite_and_reads_an_error(
    language: str, sdk: None, demo_suite: RunningCommand
) -> None:
    words = ("--src", "driver-orders-builder", "--dst", "toll-roads", "--data-dir", str(demo_suite.data_dir))
    ended = subprocess.run(
        [*CLIENTS[language], demo_suite.ready["grpc"]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "RIDEHAIL_TICKET": ridehail("ticket", *words).stdout.strip()},
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    road, error = ended.stdout.splitlines()
    assert road == "demo-order-toll true"
    assert error.split()[:3] == ["NotFound", "ORDER_NOT_FOUND", "ridehail"]
    metadata = {"go": "map[order_id:no-such-order]", "typescript": json.dumps({"order_id": "no-such-order"})}
    assert error.split(maxsplit=3)[3].replace('":"', '": "') == metadata[language]
