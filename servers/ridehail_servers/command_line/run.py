"""`ridehail up`, `serve` and `worker`."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ridehail_servers.chassis.build import SUITE, service_name
from ridehail_servers.chassis.problems import ProblemList

from .options import (
    DEFAULT_DATA_DIR,
    AddressOption,
    ArchiveUrlOption,
    CacheUrlOption,
    ConfigDirOption,
    DatabaseUrlOption,
    DataDirOption,
    KeysDirOption,
    LogLevelOption,
    ServicesArgument,
    TlsDirOption,
    UsageError,
    WorkersOption,
    addresses,
    archive_url,
    cache_url,
    check_services,
    config_dir,
    database_urls,
)

if TYPE_CHECKING:
    from ridehail_servers.chassis.settings import ProcessSettings
    from ridehail_servers.runtime.preflight import Role

_GrpcPortOption = Annotated[int, typer.Option("--grpc-port", min=0, max=65535, help="0: any free port.")]
_MetricsPortOption = Annotated[int, typer.Option("--metrics-port", min=0, max=65535, help="0: any free port.")]
_HostOption = Annotated[str, typer.Option("--host", envvar="RIDEHAIL_HOST", help="The address to listen on.")]
_MetricsHostOption = Annotated[
    str,
    typer.Option(
        "--metrics-host", envvar="RIDEHAIL_METRICS_HOST", help="The address that the metrics' port listens on."
    ),
]


def up(
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    grpc_port: _GrpcPortOption = 50051,
    http_port: Annotated[int, typer.Option(min=0, max=65535, help="The gateway's public listener.")] = 8080,
    internal_http_port: Annotated[int, typer.Option(min=0, max=65535, help="The gateway's internal listener.")] = 8081,
    metrics_port: _MetricsPortOption = 9464,
    workers: WorkersOption = 1,
    cache_url_option: CacheUrlOption = None,
    config_dir_option: ConfigDirOption = None,
    demo: Annotated[bool, typer.Option("--demo", help="Load demo data and print commands to try.")] = False,
    tls: Annotated[bool, typer.Option("--tls", help="TLS everywhere, by certificates made for this run.")] = False,
    log_level: LogLevelOption = "INFO",
) -> None:
    """Run the whole suite on this machine: Postgres, all services, the task worker and the gateway.

    Prints one line that starts with `ready` once everything is ready. Stop it with Ctrl-C. Data stays in the data
    directory; so do logs, one file a process. `ridehail up` on a directory whose last run was killed cleans up first.
    """
    from ridehail_servers import suite

    if demo and tls:
        raise UsageError("--demo shows calls in plain text: leave --tls or --demo out")
    shared_cache = cache_url(cache_url_option, tuple(suite.SERVICES), workers)
    import asyncio

    from rich.console import Console

    from ridehail_servers.chassis import logs
    from ridehail_servers.runtime.up import UpOptions
    from ridehail_servers.runtime.up import up as run_up

    logs.configure(service=SUITE, process="supervisor", level="WARNING")
    options = UpOptions(
        data_dir=data_dir,
        config_dir=config_dir(config_dir_option),
        grpc_port=grpc_port,
        http_port=http_port,
        internal_http_port=internal_http_port,
        metrics_port=metrics_port,
        workers=workers,
        cache_url=shared_cache,
        demo=demo,
        tls=tls,
        log_level=log_level,
        command=_own_command(),
        is_default_data_dir=data_dir == DEFAULT_DATA_DIR,
    )
    console = Console(stderr=True, highlight=False)
    asyncio.run(run_up(options, progress=lambda step: console.print(f"{step} ..."), report=_report))


def serve(
    services: ServicesArgument,
    host: _HostOption = "127.0.0.1",
    grpc_port: _GrpcPortOption = 50051,
    metrics_host: _MetricsHostOption = "127.0.0.1",
    metrics_port: _MetricsPortOption = 9464,
    workers: WorkersOption = 1,
    database_url: DatabaseUrlOption = None,
    address: AddressOption = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    keys_dir: KeysDirOption = None,
    tls_dir: TlsDirOption = None,
    cache_url_option: CacheUrlOption = None,
    config_dir_option: ConfigDirOption = None,
    reflection: Annotated[bool, typer.Option(help="Let anybody, as grpcurl, list what is served.")] = False,
    log_level: LogLevelOption = "INFO",
) -> None:
    """Serve some services by gRPC, against a Postgres that is run elsewhere.

    Migrate first (`ridehail migrate`), and run a `ridehail worker` for services with background tasks. SIGTERM drains:
    health says NOT_SERVING, then calls under way end.
    """
    names = check_services(services)
    import asyncio

    from ridehail_servers import suite
    from ridehail_servers.chassis import logs
    from ridehail_servers.chassis.settings import ProcessSettings
    from ridehail_servers.runtime.metrics_port import MetricsAddress
    from ridehail_servers.runtime.serve import serve as run_processes

    logs.configure(service=service_name(names), process="supervisor", level=log_level)
    urls: dict[str, str] = {}
    known: dict[str, str] = {}
    shared_cache: str | None = None
    found = ProblemList()
    with found.noted():
        urls = database_urls(names, database_url)
    with found.noted():
        known = addresses(names, address)
    with found.noted():
        shared_cache = cache_url(cache_url_option, names, workers)
    if shared_cache is None and any(suite.SERVICES[name].needs_cache for name in names):
        logs.get_logger(__name__).warning("the cache is in memory: let no other process serve the same services")
    settings = ProcessSettings(
        services=names,
        host=host,
        grpc_port=grpc_port,
        config_dir=config_dir(config_dir_option),
        keys_dir=_keys_dir(keys_dir, data_dir),
        tls_dir=None if tls_dir is None else tls_dir.resolve(),
        database_urls=urls,
        addresses=known,
        cache_url=shared_cache,
        reflection=reflection,
        log_level=log_level,
    )
    _raise_all(found, settings, "serve")
    metrics = MetricsAddress(metrics_host, metrics_port, settings.tls_dir)
    logs.take_over_process()
    asyncio.run(run_processes("serve", settings, workers=workers, metrics=metrics, report=_report))


def worker(
    services: ServicesArgument,
    metrics_host: _MetricsHostOption = "127.0.0.1",
    metrics_port: _MetricsPortOption = 9465,
    workers: WorkersOption = 1,
    database_url: DatabaseUrlOption = None,
    address: AddressOption = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    keys_dir: KeysDirOption = None,
    tls_dir: TlsDirOption = None,
    config_dir_option: ConfigDirOption = None,
    archive_url_option: ArchiveUrlOption = None,
    log_level: LogLevelOption = "INFO",
) -> None:
    """Run the background tasks of some services. SIGTERM lets the tasks under way end.

    Without --archive-url and without a data directory nothing is archived, and so no order is ever deleted.
    """
    names = check_services(services)
    import asyncio

    from ridehail_servers import suite
    from ridehail_servers.chassis import logs
    from ridehail_servers.chassis.extras import has_extra
    from ridehail_servers.chassis.settings import ProcessSettings
    from ridehail_servers.runtime.metrics_port import MetricsAddress
    from ridehail_servers.runtime.serve import serve as run_processes

    logs.configure(service=service_name(names), process="supervisor", level=log_level)
    # By default a machine without a data directory would silently keep the archive only as long as it lives.
    by_default = data_dir.is_dir() and has_extra("archive")
    archive = archive_url(archive_url_option, data_dir) if archive_url_option or by_default else None
    if archive is None and any(suite.SERVICES[name].archives for name in names):
        logs.get_logger(__name__).warning(
            "nothing is archived: give --archive-url, or a data directory where ridehail[archive] is installed"
        )
    urls: dict[str, str] = {}
    known: dict[str, str] = {}
    found = ProblemList()
    with found.noted():
        urls = database_urls(names, database_url)
    with found.noted():
        known = addresses(names, address)
    settings = ProcessSettings(
        services=names,
        config_dir=config_dir(config_dir_option),
        keys_dir=_keys_dir(keys_dir, data_dir),
        tls_dir=None if tls_dir is None else tls_dir.resolve(),
        database_urls=urls,
        addresses=known,
        archive_url=archive,
        log_level=log_level,
    )
    _raise_all(found, settings, "work")
    metrics = MetricsAddress(metrics_host, metrics_port, settings.tls_dir)
    logs.take_over_process()
    asyncio.run(run_processes("work", settings, workers=workers, metrics=metrics, report=_report))


def _raise_all(found: ProblemList, settings: ProcessSettings, role: Role) -> None:
    """Raises what is wrong with the command line, and the files as well; of these alone the process itself tells."""
    if found.lines:
        from ridehail_servers import suite
        from ridehail_servers.runtime.preflight import problems

        found.add(problems([suite.SERVICES[name] for name in settings.services], settings, role))
    found.raise_any()


def _own_command() -> str:
    """Returns the shell words that run this program from the current folder."""
    if shutil.which("ridehail"):
        return "ridehail"
    program = Path(sys.argv[0]).absolute()
    return shlex.quote(str(program.relative_to(Path.cwd()) if program.is_relative_to(Path.cwd()) else program))


def _keys_dir(given: Path | None, data_dir: Path) -> Path:
    return (given or data_dir / "keys").resolve()


def _report(line: str) -> None:
    # Flushed, because the line may be read from a pipe.
    typer.echo(line)
    typer.get_text_stream("stdout").flush()
