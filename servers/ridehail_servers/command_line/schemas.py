"""`ridehail migrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import DatabaseUrlOption, UsageError, check_services, database_urls, service_names


def migrate(
    services: Annotated[
        list[str] | None,
        typer.Argument(help="Names of services; none: all.", metavar="SERVICE...", autocompletion=service_names),
    ] = None,
    database_url: DatabaseUrlOption = None,
    with_roles: Annotated[
        bool,
        typer.Option(
            "--with-roles",
            help="Also make, for each service, the role ridehail_<schema> that reaches its own schema only, and"
            " ridehail_<schema>_reader that only reads it.",
        ),
    ] = False,
    role_passwords: Annotated[
        Path | None,
        typer.Option(
            "--role-passwords",
            help="With --with-roles: give each service's role the password of FOLDER/<service>/pgpass, which is made"
            " where it is missing; the service's URL names it as passfile.",
            metavar="FOLDER",
        ),
    ] = None,
    roll_back: Annotated[
        bool, typer.Option("--roll-back", help="Undo every migration instead. ALL DATA OF THE SERVICES IS LOST.")
    ] = False,
) -> None:
    """Bring the schemas of services up to date. Safe to repeat, and to run on several machines at once."""
    from psycopg import conninfo

    from ridehail_servers import suite
    from ridehail_servers.chassis import migrations
    from ridehail_servers.runtime.role_passwords import role_password

    if role_passwords is not None and (roll_back or not with_roles):
        raise UsageError("--role-passwords needs --with-roles: it is their passwords that it sets")
    names = check_services(services or list(suite.SERVICES))
    for name, url in database_urls(names, database_url).items():
        schema, folder = suite.SERVICES[name].schema, suite.SERVICES[name].migrations_folder
        assert schema is not None
        change = migrations.roll_back if roll_back else migrations.migrate
        done = change(url, schema, folder)
        roles = ""
        if with_roles and not roll_back:
            password = None
            if role_passwords is not None:
                password = role_password(role_passwords / name, migrations.role_of(schema))
            made = (migrations.create_role(url, schema, password), migrations.create_reader(url, schema))
            roles = f"; roles {', '.join(str(conninfo.conninfo_to_dict(one)['user']) for one in made)}"
        typer.echo(f"{name}: {', '.join(done) if done else 'up to date'}{roles}")
