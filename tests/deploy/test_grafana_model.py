"""The dashboards are what Grafana's own model of a dashboard says, which its generated Go library knows."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from ridehail_servers import resources

SOURCE = Path(__file__).parent / "grafana_model"
_BUILD_S = 600


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that reads dashboards strictly."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("Grafana's model is read by a program in Go, which is not installed")
    program = tmp_path_factory.mktemp("grafana") / "reader"
    subprocess.run([go, "build", "-o", program, "."], cwd=SOURCE, check=True, capture_output=True, timeout=_BUILD_S)
    return program


@pytest.mark.long
def test_grafana_reads_every_dashboard_and_refuses_others(reader: Path, tmp_path: Path) -> None:
    files = sorted((resources.folder("deploy") / "grafana").glob("*.json"))
    read = subprocess.run([reader, *files], capture_output=True, text=True, check=False)
    assert (read.stdout, read.returncode) == ("", 0)

    faults: list[dict[str, object]] = [
        {"panles": []},
        {"panels": [{"type": "stat", "options": {"colour": "red"}}]},
        {"refresh": 30},
    ]
    for fault in faults:
        bad = tmp_path / "bad.json"
        bad.write_text(json.dumps(json.loads(files[0].read_text()) | fault))
        assert subprocess.run([reader, bad], capture_output=True, check=False).returncode == 1
