"""`ridehail keys`: make, rotate and list the keys of a suite."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from .options import (
    DEFAULT_DATA_DIR,
    ConfigDirOption,
    DataDirOption,
    JsonOption,
    KeysDirOption,
    UsageError,
    config_dir,
)

app = typer.Typer(
    name="keys", help="Keys of tickets and sessions, and the suite's secrets: make, rotate, list.", no_args_is_help=True
)


_HandOutOption = Annotated[
    Path | None,
    typer.Option(
        "--hand-out",
        help="Then bring FOLDER/<service> up to date for each service, with the keys that it needs and no other's.",
        metavar="FOLDER",
    ),
]


@app.command()
def create(
    hand_out: _HandOutOption = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    keys_dir: KeysDirOption = None,
    config_dir_option: ConfigDirOption = None,
) -> None:
    """Make the keys that the folder lacks: of each caller in access.yaml, of the sessions, and the secrets.

    What is there stays. Each is readable by you alone; docs/production.md says who needs which.
    """
    from ridehail_servers.runtime.key_files import create_missing

    folder, sources = _folder(data_dir, keys_dir), _sources(config_dir_option)
    made = create_missing(folder, sources, _secret_files())
    for file in made:
        typer.echo(str(file))
    typer.echo(f"{len(made)} made in {folder}")
    _hand_out(folder, hand_out)


@app.command()
def rotate(
    rings: Annotated[
        list[str] | None,
        typer.Argument(
            help="Callers, `sessions`, or files of secrets such as `gateway.key`; none: all rings.", metavar="RING..."
        ),
    ] = None,
    finish: Annotated[
        bool,
        typer.Option(
            "--finish",
            help="Instead of adding keys, remove what earlier rotations left: private keys that sign no more, and"
            " public ones whose last token has expired; of a file of secrets all but the last.",
        ),
    ] = False,
    hand_out: _HandOutOption = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    keys_dir: KeysDirOption = None,
    config_dir_option: ConfigDirOption = None,
) -> None:
    """Add a pair to each ring, which signs from then on. No restart is needed, and no token becomes invalid.

    Once every server has the new keys run it with --finish, and again after the longest life of a token.

    A file of secrets gets another line. It is read at the start: docs/production.md says who starts again, and when.
    """
    from ridehail_servers.runtime.key_files import add_secret, drop_old_secrets, ring_folders
    from ridehail_servers.runtime.key_files import rotate as add_pair

    folder = _folder(data_dir, keys_dir)
    known = ring_folders(folder, _sources(config_dir_option))
    secrets = {name: folder / name for name in _secret_files()}
    if unknown := [name for name in rings or () if name not in {*known, *secrets}]:
        raise UsageError(*(f"no ring {name!r}; there are: {', '.join([*known, *secrets])}" for name in unknown))
    for name in rings or known:
        if name not in secrets:
            files = _retired(name, known[name].folder, config_dir_option) if finish else [add_pair(known[name])]
        elif finish:
            files = [secrets[name]] if drop_old_secrets(secrets[name]) else []
        else:
            add_secret(secrets[name])
            files = [secrets[name]]
        for file in files:
            what = "a secret of " if name in secrets else ""
            typer.echo(f"{'removed' if finish else 'added'} {what}{file}")
    _hand_out(folder, hand_out)


@app.command()
def show(
    as_json: JsonOption = False,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    keys_dir: KeysDirOption = None,
    config_dir_option: ConfigDirOption = None,
) -> None:
    """List the keys: what each does, since when, and what is missing or can be read by others. Shows no secret."""
    from ridehail_servers.runtime import key_files

    found = key_files.listed(_folder(data_dir, keys_dir), _sources(config_dir_option), _secret_files())
    if as_json:
        typer.echo(json.dumps(key_files.as_json(found)))
    else:
        lines = [(one.ring or "secret", one.key, one.use, one.since, one.fingerprint, one.problem) for one in found]
        widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
        for line in lines:
            typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    if any(one.problem for one in found):
        raise typer.Exit(1)


@app.command()
def secrets(
    prefix: Annotated[str, typer.Option(help="What the names of the Secrets begin with.")] = "ridehail-keys",
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    keys_dir: KeysDirOption = None,
    config_dir_option: ConfigDirOption = None,
) -> None:
    """Print the keys as Secrets of Kubernetes, for `kubectl apply --server-side -f -`. WHAT IS PRINTED IS SECRET.

    Of each ring one Secret holds the public keys, for everybody, and one the private keys, for its owner alone.
    """
    import yaml

    from ridehail_servers.runtime.key_secrets import key_secrets

    folder, sources = _folder(data_dir, keys_dir), _sources(config_dir_option)
    typer.echo(yaml.safe_dump_all(key_secrets(folder, sources, _secret_files(), prefix=prefix), sort_keys=False))


def _folder(data_dir: Path, keys_dir: Path | None) -> Path:
    return (keys_dir or data_dir / "keys").resolve()


def _hand_out(folder: Path, target: Path | None) -> None:
    from ridehail_servers import suite
    from ridehail_servers.runtime.key_handout import hand_out

    if target is not None:
        changed = hand_out(folder, target, suite.SERVICES.values())
        typer.echo(f"{len(changed)} files of {target} changed")


def _sources(config_dir_option: Path | None) -> frozenset[str]:
    from ridehail_servers import suite

    return suite.ticket_sources(config_dir(config_dir_option))


def _secret_files() -> tuple[str, ...]:
    from ridehail_servers import suite

    return suite.secret_files()


def _retired(name: str, folder: Path, config_dir_option: Path | None) -> list[Path]:
    from ridehail_servers.chassis.config import load
    from ridehail_servers.chassis.tickets import MAX_TTL
    from ridehail_servers.chassis.tokens import LEEWAY
    from ridehail_servers.passenger_authorizer.session_tokens import SESSIONS_FILE, SessionPolicy
    from ridehail_servers.runtime.key_files import SESSIONS, Ring, retire

    life = MAX_TTL
    if name == SESSIONS:
        life = timedelta(seconds=load(config_dir(config_dir_option) / SESSIONS_FILE, SessionPolicy).longest_life_s)
    return retire(Ring(folder), life + LEEWAY)
