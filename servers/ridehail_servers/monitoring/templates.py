"""The templates in `deploy/prometheus` and `deploy/grafana`."""

from __future__ import annotations

from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ridehail_servers import resources

OWN: Final = ".own.yaml"
"""Ends the names of files by hand about the own metrics of a service."""


def templates(folder: str) -> Environment:
    return Environment(
        loader=FileSystemLoader(resources.folder("deploy") / folder),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - YAML, not HTML; names are those of services and methods
        keep_trailing_newline=True,
    )
