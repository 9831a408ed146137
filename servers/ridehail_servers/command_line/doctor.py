"""`ridehail doctor`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from ridehail_servers.chassis.problems import ProblemList

from .options import (
    DEFAULT_DATA_DIR,
    AddressOption,
    CacheUrlOption,
    ConfigDirOption,
    DatabaseUrlOption,
    DataDirOption,
    JsonOption,
    KeysDirOption,
    TlsDirOption,
    addresses,
    cache_url,
    check_services,
    config_dir,
    database_urls,
    given_addresses,
    service_names,
)

if TYPE_CHECKING:
    from ridehail_servers.runtime.doctor import Diagnosis


def doctor(
    services: Annotated[
        list[str] | None,
        typer.Argument(help="Names of services; none: all.", metavar="SERVICE...", autocompletion=service_names),
    ] = None,
    database_url: DatabaseUrlOption = None,
    address: AddressOption = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    keys_dir: KeysDirOption = None,
    tls_dir: TlsDirOption = None,
    cache_url_option: CacheUrlOption = None,
    config_dir_option: ConfigDirOption = None,
    gateway: Annotated[
        str | None, typer.Option("--gateway", help="The gateway's public listener, as in http://gateway:8080.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look at all that servers depend on, given the options that they get: a line each, and what to do.

    Files, keys, databases (schema, role, clock), dependencies, cache, gateway. Changes nothing. The exit code is 1 if
    something is bad.
    """
    import asyncio
    from dataclasses import asdict

    from ridehail_servers import suite
    from ridehail_servers.chassis.settings import ProcessSettings
    from ridehail_servers.runtime.doctor import Level, examine

    names = check_services(services or list(suite.SERVICES))
    missing = ProblemList()
    urls: dict[str, str] = {}
    known: dict[str, str] = {}
    shared_cache = None
    for name in names:
        with missing.noted():
            urls |= database_urls([name], database_url)
    with missing.noted():
        known = given_addresses(address or ())
    with missing.noted():
        addresses(names, address)
    with missing.noted():
        shared_cache = cache_url(cache_url_option, names, 1)
    settings = ProcessSettings(
        services=names,
        config_dir=config_dir(config_dir_option),
        keys_dir=(keys_dir or data_dir / "keys").resolve(),
        tls_dir=None if tls_dir is None else tls_dir.resolve(),
        database_urls=urls,
        addresses=known,
        cache_url=shared_cache,
    )
    findings: list[Diagnosis] = []

    async def look() -> None:
        definitions = [suite.SERVICES[name] for name in names]
        async for finding in examine(definitions, settings, missing=missing.lines, gateway=gateway):
            findings.append(finding)
            if not as_json:
                advice = f" -> {finding.advice}" if finding.advice else ""
                typer.echo(f"{finding.level:<5} {finding.subject}: {finding.text}{advice}")

    asyncio.run(look())
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings]))
    if any(finding.level is Level.BAD for finding in findings):
        raise typer.Exit(1)
