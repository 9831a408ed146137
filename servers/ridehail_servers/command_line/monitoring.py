"""`ridehail monitoring`: Prometheus' rules and scrape configuration, and Grafana's dashboards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import check_services, service_names

app = typer.Typer(
    name="monitoring",
    help="Prometheus' rules and Grafana's dashboards, from the contracts and the definitions.",
    no_args_is_help=True,
)

_ServicesArgument = Annotated[
    list[str] | None,
    typer.Argument(help="Names of services; none: all.", metavar="SERVICE...", autocompletion=service_names),
]


@app.command()
def write(
    folder: Annotated[Path, typer.Argument(help="Gets the folders `prometheus` and `grafana`.")],
    services: _ServicesArgument = None,
) -> None:
    """Write the rules and dashboards of the services that are run: who runs fewer is not called for the others."""
    from ridehail_servers import suite
    from ridehail_servers.monitoring.files import write as write_files

    names = check_services(services or list(suite.SERVICES))
    written = write_files(folder, [suite.SERVICES[name] for name in names])
    typer.echo(f"wrote {written} files below {folder}")


@app.command()
def check() -> None:
    """Compare the files that ship with what the contracts and definitions make of them. Part of `make check`."""
    from ridehail_servers import resources, suite
    from ridehail_servers.monitoring.files import check as check_files

    checked = check_files(resources.folder("deploy"), list(suite.SERVICES.values()))
    typer.echo(f"{checked} files of monitoring are up to date")
