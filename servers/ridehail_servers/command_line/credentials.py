"""`ridehail token` and `ridehail ticket`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from .options import (
    DEFAULT_DATA_DIR,
    ConfigDirOption,
    DataDirOption,
    KeysDirOption,
    UsageError,
    check_services,
    config_dir,
    parse_period,
)

if TYPE_CHECKING:
    from ridehail_servers.chassis.passenger import Identity

UserIdOption = Annotated[str | None, typer.Option("--user-id", help="The app's user; default: the uid.")]
PhoneIdOption = Annotated[str, typer.Option("--phone-id", help="The passenger's phone.")]


class FamilyRole(StrEnum):
    """A passenger's role in a family."""

    USER = "user"
    OWNER = "owner"


FamilyRoleOption = Annotated[FamilyRole | None, typer.Option("--family-role", help="The passenger's family role.")]


def token(
    uid: Annotated[str, typer.Option("--uid", help="The passenger's yandex_uid.")],
    user_id: UserIdOption = None,
    family_role: FamilyRoleOption = None,
    phone_id: PhoneIdOption = "",
    ttl: Annotated[str, typer.Option("--ttl", help="How long it is valid: 30s, 15m, 1h, 2d.")] = "1h",
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    keys_dir: KeysDirOption = None,
    config_dir_option: ConfigDirOption = None,
) -> None:
    """Print a passenger's session token, for `Authorization: Bearer ...` on the gateway's public listener."""
    from ridehail_servers.chassis.clock import system_clock
    from ridehail_servers.chassis.config import load
    from ridehail_servers.chassis.keys import KeyRing
    from ridehail_servers.passenger_authorizer.session_tokens import SESSIONS_FILE, SessionPolicy, issue_session_token

    keys = KeyRing((keys_dir or data_dir / "keys") / "sessions")
    stated = asdict(_passenger(uid, user_id, family_role, phone_id))
    duration, policy = _duration(ttl), load(config_dir(config_dir_option) / SESSIONS_FILE, SessionPolicy)
    if duration.total_seconds() > policy.longest_life_s:
        raise UsageError(f"a session is valid for {policy.longest_life_s} s at most, says {SESSIONS_FILE}")
    typer.echo(issue_session_token(keys, **stated, now=system_clock(), ttl=duration, policy=policy))


def ticket(
    src: Annotated[str, typer.Option("--src", help="The calling service.")],
    dst: Annotated[str, typer.Option("--dst", help="The called service.")],
    uid: Annotated[
        str | None, typer.Option("--uid", help="Bind it to this passenger: the gateway's tickets need one.")
    ] = None,
    user_id: UserIdOption = None,
    family_role: FamilyRoleOption = None,
    phone_id: PhoneIdOption = "",
    ttl: Annotated[str, typer.Option("--ttl", help="How long it is valid: 30s, 15m; an hour at most.")] = "1h",
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    keys_dir: KeysDirOption = None,
    config_dir_option: ConfigDirOption = None,
) -> None:
    """Print a service ticket, for metadata `x-ya-service-ticket`."""
    from ridehail_servers import suite
    from ridehail_servers.chassis.keys import KeyRing
    from ridehail_servers.chassis.tickets import GATEWAY, MAX_TTL, TicketIssuer

    check_services([dst])
    callers = suite.ticket_sources(config_dir(config_dir_option))
    if src not in callers:
        raise UsageError(f"no caller {src!r}; there are: {', '.join(sorted(callers))}")
    duration = _duration(ttl)
    if duration > MAX_TTL:
        raise UsageError("a ticket is valid for an hour at most")
    keys = KeyRing((keys_dir or data_dir / "keys") / "tickets")
    if uid is None and (src == GATEWAY or user_id or family_role or phone_id):
        raise UsageError("give --uid: a ticket of the gateway is good for one passenger only")
    passenger = None if uid is None else _passenger(uid, user_id, family_role, phone_id)
    typer.echo(TicketIssuer(keys, src, ttl=duration).issue(dst, passenger=passenger))


def _passenger(uid: str, user_id: str | None, family_role: FamilyRole | None, phone_id: str) -> Identity:
    from ridehail_servers.chassis.passenger import Identity

    try:
        return Identity(uid, user_id or uid, family_role.value if family_role else "", phone_id)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _duration(text: str) -> timedelta:
    return parse_period(text, "smhd", "--ttl takes a number and s, m, h or d", max_digits=7)
