"""Edits of configuration files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml


def edit(file: Path, changes: dict[str, Any]) -> None:
    """Sets keys of a YAML file; mappings are merged, None removes."""
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
