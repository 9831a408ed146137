"""Options that several commands share. Functions raise UsageError for an invalid option."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from ridehail_servers import resources
from ridehail_servers.chassis.problems import ProblemList, Problems


class UsageError(Problems):
    """The command line or the environment is invalid."""


DEFAULT_DATA_DIR = Path(".ridehail")

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

DataDirOption = Annotated[
    Path, typer.Option("--data-dir", envvar="RIDEHAIL_DATA_DIR", help="Where the suite keeps data, keys and logs.")
]
ConfigDirOption = Annotated[
    Path | None,
    typer.Option(
        "--config-dir", envvar="RIDEHAIL_CONFIG_DIR", help="Configuration files; default: the copies that ship."
    ),
]
KeysDirOption = Annotated[
    Path | None,
    typer.Option("--keys-dir", envvar="RIDEHAIL_KEYS_DIR", help="Key folders; default: keys/ in the data directory."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Count what is due, and change nothing.")]
LogLevelOption = Annotated[str, typer.Option("--log-level", envvar="RIDEHAIL_LOG_LEVEL", help="DEBUG, INFO, ...")]
WorkersOption = Annotated[
    int, typer.Option("--workers", min=1, max=64, help="Processes to start; those of a server share its port.")
]


def service_names(incomplete: str) -> list[str]:
    """Returns the services whose names begin so, for the shell's completion."""
    from ridehail_servers import suite

    return [name for name in suite.SERVICES if name.startswith(incomplete)]


ServicesArgument = Annotated[
    list[str], typer.Argument(help="Names of services.", metavar="SERVICE...", autocompletion=service_names)
]
DatabaseUrlOption = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        envvar="RIDEHAIL_DATABASE_URL",
        help="Postgres URL. RIDEHAIL_DATABASE_URL_<SERVICE> (as in RIDEHAIL_DATABASE_URL_TOLL_ROADS) goes before it.",
    ),
]
ArchiveUrlOption = Annotated[
    str | None,
    typer.Option(
        "--archive-url",
        envvar="RIDEHAIL_ARCHIVE_URL",
        help="Folder of what services archive: a path, file:PATH, s3://BUCKET/FOLDER or yt://PROXY/PATH;"
        " default: archive/ in the data directory.",
    ),
]
CacheUrlOption = Annotated[
    str | None,
    typer.Option(
        "--cache-url",
        envvar="RIDEHAIL_CACHE_URL",
        help="Redis that all processes of a service share, as in redis://HOST:PORT/0, or `none`;"
        " default: in memory, for one process only.",
    ),
]
TlsDirOption = Annotated[
    Path | None,
    typer.Option(
        "--tls-dir",
        envvar="RIDEHAIL_TLS_DIR",
        help="Folder of ca.pem, cert.pem and key.pem: TLS on every port and to every dependency; default: plain text.",
    ),
]
AddressOption = Annotated[
    list[str] | None,
    typer.Option(
        "--address",
        envvar="RIDEHAIL_ADDRESSES",
        help="Address of a dependency, as in order-core=10.0.0.7:50051. May be repeated; in the variable, by spaces.",
    ),
]


def parse_period(text: str, units: str, expected: str, *, max_digits: int = 5) -> timedelta:
    """Returns the period that an option states as a number and one of the units (letters of `smhd`).

    `expected` says what the option takes, for the error.
    """
    found = re.fullmatch(rf"([0-9]{{1,{max_digits}}})([{units}])", text)
    period = timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else timedelta()
    if not period:
        raise UsageError(f"{expected}, not {text!r}")
    return period


def config_dir(given: Path | None) -> Path:
    """Returns the folder of the configuration files: the given one, or the copies that ship."""
    return (given or resources.folder("config")).resolve()


def archive_url(given: str | None, data_dir: Path, *, option: str = "--archive-url") -> str:
    """Returns the URL of the archive's folder: the given one, or that of the data directory, which need not exist."""
    from ridehail_servers.chassis.folder_url import folder_url
    from ridehail_servers.runtime.data_dir import DataDir

    if given is None:
        return DataDir(data_dir).archive.as_uri()
    try:
        return folder_url(given)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from error


def cache_url(given: str | None, services: Sequence[str], workers: int) -> str | None:
    """Returns the URL of the cache that the processes of the services share, or None for one in memory.

    An empty option counts as not given. Several processes must not each have a cache of their own.
    """
    if not given and workers == 1:
        return None
    from ridehail_servers import suite
    from ridehail_servers.chassis.cache import NO_CACHE, check_url

    if given:
        try:
            return check_url(given)
        except ValueError as error:
            raise UsageError(f"--cache-url: {error}") from error
    needing = [name for name in services if suite.SERVICES[name].needs_cache]
    if needing:
        raise UsageError(
            f"{needing[0]} keeps answers in a cache that its {workers} processes have to share: give --cache-url"
            f" redis://HOST:PORT/0, or --cache-url {NO_CACHE} to keep none"
        )
    return None


def check_services(names: Sequence[str]) -> tuple[str, ...]:
    """Returns the names of existing services, each once."""
    from ridehail_servers import suite

    for name in names:
        if name not in suite.SERVICES:
            raise UsageError(f"no service {name!r}; there are: {', '.join(suite.SERVICES)}")
    return tuple(dict.fromkeys(names))


def database_variable(service: str) -> str:
    """Returns the environment variable with the Postgres URL of one service."""
    return f"RIDEHAIL_DATABASE_URL_{service.upper().replace('-', '_')}"


def database_urls(
    services: Sequence[str], common: str | None, environment: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Returns the Postgres URL of each service that needs one: its own variable, or the common option."""
    from ridehail_servers import suite

    urls: dict[str, str] = {}
    missing: list[str] = []
    for name in services:
        if suite.SERVICES[name].schema is None:
            continue
        variable = database_variable(name)
        url = environment.get(variable) or common
        if not url:
            missing.append(f"{name} needs a database: give --database-url or set {variable}")
            continue
        urls[name] = url
    if missing:
        raise UsageError(*missing)
    return urls


_PORT = r"(?:6553[0-5]|655[0-2]\d|65[0-4]\d\d|6[0-4]\d{3}|[1-5]\d{4}|[1-9]\d{0,3})"
_HOST_AND_PORT = rf"(?:\[[0-9A-Fa-f:.%]+\]|[^\s:/,\[\]=]+):{_PORT}"
# Or as gRPC spells targets: dns:[//AUTHORITY/]HOST:PORT, several after ipv4: and ipv6:, unix:PATH.
_TARGET = re.compile(
    rf"(?:(?:dns|ipv4|ipv6):(?://[^/\s]*/)?)?{_HOST_AND_PORT}(?:,{_HOST_AND_PORT})*|unix(?:-abstract)?:\S+"
)


def given_addresses(given: Sequence[str]) -> dict[str, str]:
    """Returns the addresses by service, from NAME=HOST:PORT each, or another target that gRPC understands."""
    known: dict[str, str] = {}
    found = ProblemList()
    for entry in given:
        name, _, address = entry.partition("=")
        if not _TARGET.fullmatch(address):
            found.add([f"--address takes NAME=HOST:PORT, with a port of 1 to 65535, not {entry!r}"])
            continue
        with found.noted():
            known[check_services([name])[0]] = address
    if found.lines:
        raise UsageError(*found.lines)
    return known


def addresses(services: Sequence[str], given: Sequence[str] | None) -> dict[str, str]:
    """Returns the given addresses, after a check that every dependency of the services has one."""
    from ridehail_servers import suite

    known = given_addresses(given or ())
    missing = [
        f"{name} calls {dependency}: give --address {dependency}=HOST:PORT"
        for name in services
        for dependency in suite.SERVICES[name].dependencies
        if dependency not in known
    ]
    if missing:
        raise UsageError(*missing)
    return known
