"""`ridehail config`: the configuration files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import UsageError

app = typer.Typer(name="config", help="Configuration files: copy the ones that ship.", no_args_is_help=True)


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
