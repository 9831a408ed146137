"""Debian's Prometheus and its tool, where they are installed."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ridehail_servers import resources

RULES = resources.folder("deploy") / "prometheus"
REASON = "needs Debian's prometheus"


def program(name: str) -> str:
    """Returns the path of `prometheus` or `promtool`, or skips the test."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(REASON)
    return found


def copied_rules(folder: Path, change: Callable[[str], str]) -> list[Path]:
    """Copies all files of rules, each with its text changed, and returns the copies."""
    folder.mkdir(parents=True, exist_ok=True)
    copies = []
    for file in sorted(RULES.glob("*.yaml")):
        if file.name != "prometheus.yaml":
            copy = folder / file.name
            copy.write_text(change(file.read_text()))
            copies.append(copy)
    return copies


def without_intervals(rules: str) -> str:
    """Returns rules that are evaluated as often as their reader evaluates those without an interval."""
    return re.sub(r"^    interval: .*\n", "", rules, flags=re.M)
