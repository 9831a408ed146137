"""Looks at everything that servers depend on, as they would, and says what to do about what is not well."""

from __future__ import annotations

import asyncio
import email.utils
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import grpc
import psycopg
from grpc_health.v1 import health_pb2, health_pb2_grpc

from ridehail_clients import open_async_channel, tls_from_dir
from ridehail_kernel.tls import CA
from ridehail_servers.chassis.cache import CLUSTER, NO_CACHE
from ridehail_servers.chassis.database import connection_string
from ridehail_servers.chassis.health_names import REASON_KEY
from ridehail_servers.chassis.schema_version import SchemaOutdated, applied_migrations, shipped_migrations
from ridehail_servers.chassis.service_definition import ServiceDefinition
from ridehail_servers.chassis.settings import PoolSettings, ProcessSettings

from .preflight import config_checks, key_checks, problems_of, tls_checks

_TIMEOUT_S = 5.0
# Tickets bear 30 s between two clocks.
_SKEW_WARN_S, _SKEW_BAD_S = 5.0, 30.0

_ABOUT_ROLE = """
    SELECT rolsuper, current_setting('server_version'), clock_timestamp(), pg_is_in_recovery(),
           has_schema_privilege(current_user, %(schema)s, 'CREATE'),
           (SELECT count(*) FROM pg_tables WHERE schemaname = %(schema)s
             AND NOT has_table_privilege(current_user, format('%%I.%%I', schemaname, tablename), 'SELECT'))
      FROM pg_roles WHERE rolname = current_user
"""


class Level(StrEnum):
    OK = "ok"
    WARNING = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One line of the doctor's: what was looked at, how it is, and what to do if it is not well."""

    level: Level
    subject: str
    text: str
    advice: str = ""


async def examine(
    definitions: Sequence[ServiceDefinition],
    settings: ProcessSettings,
    *,
    missing: Sequence[str] = (),
    gateway: str | None = None,
) -> AsyncIterator[Diagnosis]:
    """Yields findings: files, keys, databases, dependencies, cache, gateway.

    Args:
        definitions: The services to look after.
        settings: As their servers would get them.
        missing: What the command line lacks, a line each.
        gateway: The URL of the gateway's public listener, or None to leave it out.
    """
    for line in missing:
        yield Diagnosis(Level.BAD, "command line", line)
    for finding in (*_files(definitions, settings), *_keys(definitions, settings)):
        yield finding
    for definition in definitions:
        if url := settings.database_urls.get(definition.name):
            for finding in await _database(definition, url):
                yield finding
    for name in dict.fromkeys(name for definition in definitions for name in definition.dependencies):
        if address := settings.addresses.get(name):
            yield await _dependency(name, address, settings.tls_dir)
    if settings.cache_url not in {None, NO_CACHE}:
        yield await _cache(str(settings.cache_url))
    if gateway is not None:
        yield await asyncio.to_thread(_gateway, gateway, settings.tls_dir)


def _files(definitions: Sequence[ServiceDefinition], settings: ProcessSettings) -> list[Diagnosis]:
    checks = list(config_checks(definitions, settings.config_dir))
    lines = problems_of(checks)
    advice = "mend the file, or take the shipped one: `ridehail config init`"
    bad = [Diagnosis(Level.BAD, "configuration", line, advice) for line in lines]
    return bad or [Diagnosis(Level.OK, "configuration", f"{len(checks)} files in {settings.config_dir}")]


def _keys(definitions: Sequence[ServiceDefinition], settings: ProcessSettings) -> list[Diagnosis]:
    checks = list(key_checks(definitions, settings.keys_dir))
    lines = problems_of([*checks, *tls_checks(settings.tls_dir)])
    advice = "`ridehail keys create` makes what is missing, `ridehail keys show` lists what is there"
    bad = [Diagnosis(Level.BAD, "keys", line, advice) for line in lines]
    return bad or [Diagnosis(Level.OK, "keys", f"{len(checks)} kinds in {settings.keys_dir}")]


async def _database(definition: ServiceDefinition, url: str) -> list[Diagnosis]:
    assert definition.schema is not None
    subject = f"database of {definition.name}"
    began = time.monotonic()
    try:
        given = connection_string(url, schema=definition.schema, settings=PoolSettings(), application="ridehail doctor")
        connection = await asyncio.wait_for(psycopg.AsyncConnection.connect(given, autocommit=True), _TIMEOUT_S)
    except (psycopg.Error, TimeoutError) as error:
        reason = " ".join(str(error).split()) or "does not respond"
        return [
            Diagnosis(Level.BAD, subject, reason, "look after Postgres, the URL and the way to it; servers wait for it")
        ]
    async with connection:
        try:
            row: Any = await (await connection.execute(_ABOUT_ROLE, {"schema": definition.schema})).fetchone()
            found = [_schema(subject, definition, await applied_migrations(connection))]
        except psycopg.errors.InvalidSchemaName:
            outdated = SchemaOutdated(definition.schema, sorted(shipped_migrations(definition.migrations_folder)))
            return [Diagnosis(Level.BAD, subject, str(outdated), f"`ridehail migrate {definition.name}`")]
        except psycopg.Error as error:
            reason = " ".join(str(error).split())
            return [Diagnosis(Level.BAD, subject, reason, "`ridehail migrate --with-roles` gives roles what they need")]
    superuser, version, now, standby, owns, unreadable = row
    milliseconds = round((time.monotonic() - began) * 1000)
    found.append(Diagnosis(Level.OK, subject, f"Postgres {version}, connected and asked in {milliseconds} ms"))
    if standby:
        found.append(
            Diagnosis(Level.BAD, subject, "is a standby, which accepts no writes", "name the primary in the URL")
        )
    if superuser or owns:
        kind = "a superuser" if superuser else "allowed to change the schema"
        advice = f"serve as ridehail_{definition.schema}, which `ridehail migrate --with-roles` makes"
        found.append(Diagnosis(Level.WARNING, subject, f"the role is {kind}", advice))
    if unreadable:
        advice = "`ridehail migrate --with-roles`, as the user that migrates"
        found.append(Diagnosis(Level.BAD, subject, f"the role may not read {unreadable} tables", advice))
    return [*found, _clock(subject, now)]


def _schema(subject: str, definition: ServiceDefinition, applied: frozenset[str]) -> Diagnosis:
    shipped = shipped_migrations(definition.migrations_folder)
    if missing := sorted(shipped - applied):
        outdated = SchemaOutdated(str(definition.schema), missing)
        return Diagnosis(Level.BAD, subject, str(outdated), f"`ridehail migrate {definition.name}`")
    if later := sorted(applied - shipped):
        text = f"schema {definition.schema} is newer than this version: {', '.join(later)}"
        return Diagnosis(Level.WARNING, subject, text, "go on with the upgrade: servers of this version still work")
    return Diagnosis(Level.OK, subject, f"schema {definition.schema} is at {max(shipped)}")


def _clock(subject: str, there: datetime) -> Diagnosis:
    seconds = abs((there - datetime.now(UTC)).total_seconds())
    text = f"its clock is {seconds:.0f} s from ours"
    if seconds < _SKEW_WARN_S:
        return Diagnosis(Level.OK, subject, text)
    level = Level.WARNING if seconds < _SKEW_BAD_S else Level.BAD
    return Diagnosis(level, subject, text, "synchronize the clocks: tickets bear 30 s")


async def _dependency(name: str, address: str, tls_dir: Path | None) -> Diagnosis:
    subject = f"dependency {name}"
    credentials = None if tls_dir is None else tls_from_dir(tls_dir)
    server_name = None if tls_dir is None else name
    async with open_async_channel(address, credentials=credentials, server_name=server_name, health_check=False) as it:
        call = health_pb2_grpc.HealthStub(it).Check(health_pb2.HealthCheckRequest(), timeout=_TIMEOUT_S)
        try:
            status = (await call).status
        except grpc.aio.AioRpcError as error:
            advice = "start it, or mend --address, TLS or the network between"
            return Diagnosis(Level.BAD, subject, f"{address}: {error.code().name} {error.details()}", advice)
        reason = _text_of(await call.trailing_metadata(), REASON_KEY)
    if status != health_pb2.HealthCheckResponse.SERVING:
        return Diagnosis(Level.BAD, subject, f"{address} is not serving: {reason}", "ask `ridehail doctor` there")
    return Diagnosis(Level.OK, subject, f"{address} serves")


def _text_of(metadata: Any, key: str) -> str:  # grpc's metadata has no types
    return str(dict(metadata).get(key, "it says no reason"))


async def _cache(url: str) -> Diagnosis:
    import redis.asyncio  # noqa: PLC0415 - few services have one

    client = redis.asyncio.Redis.from_url(
        url.replace(CLUSTER, "", 1), socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S
    )
    try:
        await client.ping()
        policy = (await client.config_get("maxmemory-policy")).get("maxmemory-policy", "")
    except redis.exceptions.ResponseError:
        return Diagnosis(Level.OK, "cache", "responds")  # a managed one shows no configuration
    except (redis.exceptions.RedisError, OSError) as error:
        return Diagnosis(
            Level.BAD, "cache", " ".join(str(error).split()), "look after Redis, the URL and the way to it"
        )
    finally:
        await client.aclose()
    if policy == "noeviction":
        return Diagnosis(Level.WARNING, "cache", "refuses writes when it is full", "maxmemory-policy allkeys-lru")
    return Diagnosis(Level.OK, "cache", f"responds, maxmemory-policy {policy}")


def _gateway(url: str, tls_dir: Path | None) -> Diagnosis:
    """Calls a path that no contract has: the gateway itself refuses it, in JSON."""
    context = None if tls_dir is None else ssl.create_default_context(cafile=tls_dir / CA)
    try:
        asked = f"{url}/ridehail-doctor"
        with urllib.request.urlopen(asked, timeout=_TIMEOUT_S, context=context) as response:  # noqa: S310 - an operator's
            status, headers = response.status, response.headers
    except urllib.error.HTTPError as error:
        status, headers = error.code, error.headers
        error.close()
    except (OSError, ValueError) as error:
        return Diagnosis(Level.BAD, "gateway", str(error), "start Envoy on the file of `ridehail gateway config`")
    if headers.get_content_type() != "application/json" or status not in {401, 404}:
        return Diagnosis(Level.BAD, "gateway", f"{url} responds {status}, not as ours", "mend the URL")
    if not headers["date"]:
        return Diagnosis(Level.OK, "gateway", f"{url} responds")
    return _clock("gateway", email.utils.parsedate_to_datetime(headers["date"]))
