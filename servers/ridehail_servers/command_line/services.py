"""`ridehail services`: what each service needs, by its definition."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import typer

from .options import JsonOption

if TYPE_CHECKING:
    from ridehail_servers.chassis.service_definition import ServiceDefinition

_OF_ALL = ("server.yaml", "access.yaml", "flags.json")


def services(as_json: JsonOption = False) -> None:
    """Print what each service needs, as a table in Markdown: whom it calls, database, worker, keys, files, cache.

    Besides, every one needs server.yaml, access.yaml and flags.json, and every server but the passenger authorizer the
    public keys in tickets/.
    """
    from ridehail_servers import suite

    needs = {name: _needs(suite.SERVICES[name]) for name in suite.SERVICES}
    if as_json:
        typer.echo(json.dumps(needs))
        return
    columns = ["service", *next(iter(needs.values()))]
    typer.echo(_row(columns))
    typer.echo(_row(["---"] * len(columns)))
    for name, needed in needs.items():
        typer.echo(_row([name, *(", ".join(it) if isinstance(it, list) else it for it in needed.values())]))


def _needs(definition: ServiceDefinition) -> Mapping[str, str | list[str]]:
    from ridehail_servers.runtime.key_handout import own_keys

    return {
        "calls": list(definition.dependencies),
        "schema": definition.schema or "",
        "worker": "yes" if definition.has_tasks else "",
        "own keys": list(own_keys(definition)),
        "own files": [name for name in definition.configs if name not in _OF_ALL],
        "cache": "yes" if definition.needs_cache else "",
    }


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |".replace("  ", " ")
