from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

from ridehail_servers import resources

# Nothing that these limit is refused because the machine is busy, and no server waits longer than it has to.
LENIENT_SERVER = """
drain_quiet_s: 0.01
reload_every_s: 0.05
admission: {standing_wait_ms: 5000, burst_wait_ms: 5000, max_wait_ms: 5000}
pool: {timeout_s: 10, shared_read_timeout_ms: 10000}
"""


def lenient_config(folder: Path) -> Path:
    """Copies the shipped configuration to a new folder, with limits that a busy machine keeps; returns the folder."""
    shutil.copytree(resources.folder("config"), folder)
    (folder / "server.yaml").write_text(LENIENT_SERVER)
    return folder


def edit(file: Path, changes: dict[str, Any]) -> None:
    """Sets keys of a YAML file; mappings are merged, None removes a key."""
    content = yaml.safe_load(file.read_text()) or {}
    file.write_text(yaml.safe_dump(_merged(content, changes)))


def _merged(content: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    result = dict(content)
    for key, value in changes.items():
        if value is None:
            del result[key]
        elif isinstance(value, dict):
            result[key] = _merged(result.get(key) or {}, value)
        else:
            result[key] = value
    return result
