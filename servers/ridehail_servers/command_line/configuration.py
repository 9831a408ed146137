"""`ridehail config`: the configuration files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigDirOption, UsageError, check_services, config_dir, service_names

app = typer.Typer(name="config", help="Configuration files: copy the ones that ship, check them.", no_args_is_help=True)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where to; it is made where it does not exist.")] = Path("config"),
) -> None:
    """Copy the configuration files that ship into a folder, to edit them there and to name it by --config-dir.

    Files that the folder has are kept as they are.
    """
    from shutil import copyfile

    from ridehail_servers import resources

    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is not a folder")
    folder.mkdir(parents=True, exist_ok=True)
    for file in sorted(resources.folder("config").iterdir()):
        copied = folder / file.name
        is_new = not copied.exists()
        if is_new:
            copyfile(file, copied)
        typer.echo(f"{copied}{'' if is_new else ': kept, it was there'}")


@app.command()
def check(
    services: Annotated[
        list[str] | None,
        typer.Argument(help="Names of services; none: all.", metavar="SERVICE...", autocompletion=service_names),
    ] = None,
    config_dir_option: ConfigDirOption = None,
) -> None:
    """Judge the configuration files as servers of this version do: a line for each, and exit code 1 if one is refused.

    access.yaml has to list every method that the services serve.
    """
    from ridehail_servers import suite
    from ridehail_servers.runtime.preflight import config_checks, problems_of

    names = check_services(services or list(suite.SERVICES))
    folder = config_dir(config_dir_option)
    refused = 0
    for one in config_checks([suite.SERVICES[name] for name in names], folder):
        lines = problems_of([one])
        refused += bool(lines)
        for line in lines:
            typer.echo(f"bad   {line}")
        if not lines:
            typer.echo(f"ok    {folder / one.files}{': ' + ', '.join(one.services) if one.services else ''}")
    if refused:
        raise typer.Exit(1)
