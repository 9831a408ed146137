"""`ridehail migrate`."""

from __future__ import annotations

from typing import Annotated

import typer

from ridehail_servers import suite
from ridehail_servers.chassis import migrations

from .options import DatabaseUrlOption, check_services, database_urls


def migrate(
    services: Annotated[
        list[str] | None, typer.Argument(help="Names of services; none: all.", metavar="SERVICE...")
    ] = None,
    database_url: DatabaseUrlOption = None,
    with_roles: Annotated[
        bool,
        typer.Option(
            "--with-roles",
            help="Also make, for each service, the role ridehail_<schema> that reaches its own schema only.",
        ),
    ] = False,
    roll_back: Annotated[
        bool, typer.Option("--roll-back", help="Undo every migration instead. ALL DATA OF THE SERVICES IS LOST.")
    ] = False,
) -> None:
    """Bring the schemas of services up to date. Safe to repeat, and to run on several machines at once."""
    names = check_services(services or list(suite.SERVICES))
    for name, url in database_urls(names, database_url).items():
        schema, folder = suite.SERVICES[name].schema, suite.SERVICES[name].migrations_folder
        assert schema is not None
        if roll_back:
            done = migrations.roll_back(url, schema, folder)
        else:
            done = migrations.migrate(url, schema, folder)
            if with_roles:
                migrations.create_role(url, schema)
        typer.echo(f"{name}: {', '.join(done) if done else 'up to date'}")
