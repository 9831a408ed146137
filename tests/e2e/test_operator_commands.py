"""What an operator asks: keys, configuration, all that servers depend on; and everything that is missing, at once."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from pathlib import Path
from shutil import copy2

import psycopg
import pytest
import yaml

from ridehail_servers import resources, suite
from ridehail_servers.chassis import app, migrations
from ridehail_servers.chassis.keys import KeyRing, read_secrets
from ridehail_servers.chassis.settings import ProcessSettings
from ridehail_servers.runtime.key_files import next_id
from ridehail_servers.runtime.preflight import Role, key_checks, problems_of
from tests.support.command_line import ridehail
from tests.support.suite_in_process import SuiteInProcess

SOURCES = suite.ticket_sources(resources.folder("config"))


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    made = ridehail("keys", "create", "--keys-dir", str(tmp_path / "keys"))
    assert made.returncode == 0
    return tmp_path / "keys"


def run(*words: str, keys: Path) -> tuple[int, list[str]]:
    ended = ridehail("keys", *words, "--keys-dir", str(keys))
    return ended.returncode, ended.stdout.splitlines()


# --- keys


def test_created_keys_are_all_that_servers_need_and_private(keys: Path) -> None:
    assert KeyRing(keys / "tickets").owners() == SOURCES
    assert KeyRing(keys / "sessions").signing_key()[0] == "sessions-2"
    secrets = [*keys.rglob("*.private.pem"), *(keys / name for name in suite.secret_files())]
    assert {file.stat().st_mode & 0o777 for file in secrets} == {0o600}
    before = {file: file.read_bytes() for file in keys.rglob("*") if file.is_file()}
    (keys / "gateway.key").unlink()
    assert run("create", keys=keys) == (0, [str(keys / "gateway.key"), f"1 made in {keys}"])
    after = {file: file.read_bytes() for file in keys.rglob("*") if file.is_file()}
    assert [file for file in before if before[file] != after[file]] == [keys / "gateway.key"]


def test_a_rotated_ring_signs_by_its_new_key_and_loses_the_old_ones_when_their_tokens_have_expired(keys: Path) -> None:
    folder = keys / "tickets" / "eulas"
    assert run("rotate", "eulas", keys=keys) == (0, [f"added {folder / 'eulas-3.public.pem'}"])
    assert KeyRing(keys / "tickets").signing_key("eulas")[0] == "eulas-3"
    removed = [f"removed {folder / name}" for name in ("eulas-1.private.pem", "eulas-2.private.pem")]
    assert run("rotate", "--finish", "eulas", keys=keys) == (0, removed)
    assert run("rotate", "--finish", "eulas", keys=keys) == (0, [])
    assert KeyRing(keys / "tickets").public_key("eulas-1", "eulas") is not None

    an_hour_ago = time.time() - 3600 - 31
    os.utime(folder / "eulas-3.public.pem", (an_hour_ago, an_hour_ago))
    removed = [f"removed {folder / name}" for name in ("eulas-1.public.pem", "eulas-2.public.pem")]
    assert run("rotate", "--finish", "eulas", keys=keys) == (0, removed)
    assert sorted(file.name for file in folder.iterdir()) == ["eulas-3.private.pem", "eulas-3.public.pem"]


def test_all_rings_are_rotated_where_none_is_named(keys: Path) -> None:
    code, lines = run("rotate", keys=keys)
    assert (code, len(lines)) == (0, len(SOURCES) + 1)
    ended = ridehail("keys", "rotate", "nobody", "no-one", "--keys-dir", str(keys))
    assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 3)


def test_a_file_of_secrets_gets_another_one_and_loses_the_old_ones(keys: Path) -> None:
    file = keys / "gateway.key"
    (old,) = read_secrets(file)
    assert run("rotate", "gateway.key", keys=keys) == (0, [f"added a secret of {file}"])
    assert read_secrets(file)[:-1] == [old]
    (_, new) = read_secrets(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert run("rotate", "--finish", "gateway.key", keys=keys) == (0, [f"removed a secret of {file}"])
    assert read_secrets(file) == [new]
    assert run("rotate", "--finish", "gateway.key", keys=keys) == (0, [])


def handed_out(folder: Path, service: str) -> dict[str, bytes]:
    files = (file for file in (folder / service).rglob("*") if file.is_file())
    return {str(file.relative_to(folder / service)): file.read_bytes() for file in files}


def test_each_service_is_handed_what_it_starts_with_and_nobody_elses_private_keys(keys: Path, tmp_path: Path) -> None:
    folder = tmp_path / "services"
    assert run("create", "--hand-out", str(folder), keys=keys)[0] == 0
    assert {one.name for one in folder.iterdir()} == set(suite.SERVICES)
    owners: dict[str, list[str]] = {}
    for name in suite.SERVICES:
        assert problems_of(key_checks([suite.SERVICES[name]], folder / name)) == []
        for file in handed_out(folder, name):
            owners.setdefault(file, []).append(name)
    private = {file: names for file, names in owners.items() if file.endswith(".private.pem")}
    assert {len(names) for names in private.values()} == {1}
    assert private["tickets/family/family-1.private.pem"] == ["family"]
    assert private["tickets/gateway/gateway-1.private.pem"] == [suite.AUTHORIZER]
    assert (owners["gateway.key"], owners["order-state-tags.key"]) == ([suite.AUTHORIZER], ["order-state"])


def test_what_was_handed_out_follows_a_rotation(keys: Path, tmp_path: Path) -> None:
    folder = tmp_path / "services"

    def follow(*words: str) -> dict[str, dict[str, bytes]]:
        assert run(*words, "--hand-out", str(folder), keys=keys)[0] == 0
        return {name: handed_out(folder, name) for name in suite.SERVICES}

    before = follow("create")
    assert follow("create") == before
    rotated = follow("rotate", "family")
    public, private = (f"tickets/family/family-3.{kind}.pem" for kind in ("public", "private"))
    assert {name: rotated[name].keys() - before[name].keys() for name in suite.SERVICES} == {
        name: {public, private} if name == "family" else {public} for name in suite.SERVICES
    }
    finished = follow("rotate", "--finish", "family")
    assert [name for name in finished["family"] if name.endswith(".private.pem")] == [private]
    with_another = follow("rotate", "gateway.key")[suite.AUTHORIZER]["gateway.key"]
    assert with_another == (keys / "gateway.key").read_bytes() != before[suite.AUTHORIZER]["gateway.key"]


@pytest.mark.parametrize(
    ("latest", "following"),
    [
        ("eulas-2", "eulas-3"),
        ("eulas-9", "eulas-9-1"),
        ("a-09", "a-10"),
        ("a-99", "a-99-1"),
        ("old", "old-1"),
        ("7", "8"),
    ],
)
def test_the_id_of_a_new_key_sorts_last(latest: str, following: str) -> None:
    assert next_id(latest) == following
    assert following > latest


def test_keys_are_listed_with_what_each_does_and_without_secrets(keys: Path) -> None:
    (keys / "tickets" / "eulas" / "eulas-1.private.pem").unlink()
    (keys / "tickets" / "family" / "family-2.private.pem").chmod(0o644)
    (keys / "order-state-tags.key").unlink()
    ended = ridehail("keys", "show", "--json", "--keys-dir", str(keys))
    assert ended.returncode == 1
    listed = {(one["ring"], one["key"]): one for one in json.loads(ended.stdout)}
    assert [listed["tickets/eulas", key]["use"] for key in ("eulas-1", "eulas-2")] == ["verifies", "signs"]
    assert listed["tickets/admin", "admin-1"]["use"] == "can sign"
    assert "can be read by others (mode 0644)" in listed["tickets/family", "family-2"]["problem"]
    assert listed["", "order-state-tags.key"]["use"] == "missing"
    assert [name for name, one in listed.items() if one["problem"]] == [
        ("tickets/family", "family-2"),
        ("", "order-state-tags.key"),
    ]
    text = ridehail("keys", "show", "--keys-dir", str(keys)).stdout
    assert (keys / "gateway.key").read_text() not in text + ended.stdout
    assert len(text.splitlines()) == len(listed)


def test_secrets_hold_every_key_and_private_ones_apart(keys: Path) -> None:
    code, lines = run("secrets", "--prefix", "k", keys=keys)
    assert code == 0
    found = {it["metadata"]["name"]: it["data"] for it in yaml.safe_load_all("\n".join(lines))}

    folders = {"sessions": keys / "sessions", **{source: keys / "tickets" / source for source in SOURCES}}
    expected = {
        f"k-{name}{suffix}": sorted(folder.glob(f"*.{kind}.pem"))
        for name, folder in folders.items()
        for kind, suffix in (("private", ""), ("public", "-public"))
    }
    expected |= {f"k-{name.replace('.', '-')}": [keys / name] for name in suite.secret_files()}
    assert found == {
        name: {file.name: base64.b64encode(file.read_bytes()).decode() for file in files}
        for name, files in expected.items()
    }


# --- configuration


def test_shipped_configuration_fits_this_version() -> None:
    ended = ridehail("config", "check")
    assert ended.returncode == 0
    folder = resources.folder("config")
    assert sorted(line.split()[1].rstrip(":") for line in ended.stdout.splitlines()) == sorted(
        map(str, folder.iterdir())
    )
    assert {line.split()[0] for line in ended.stdout.splitlines()} == {"ok"}


def test_every_fault_of_a_file_has_a_line(config_dir: Path) -> None:
    (config_dir / "server.yaml").write_text("pool: 1\npool: 2\nlog: !x 1")
    (config_dir / "toll_roads.yaml").write_text("retrieve_by: road\nroads: 2\nretention: {hour: 1}")
    ended = ridehail("config", "check", "toll-roads", "--config-dir", str(config_dir))
    bad = [line for line in ended.stdout.splitlines() if line.startswith("bad ")]
    starts = ("line 2: 'pool'", "log: line 3: ", "retrieve_by: ", "retention.hour: ", "roads: ")
    assert [line.partition(".yaml: ")[2][: len(start)] for line, start in zip(bad, starts, strict=True)] == list(starts)


def test_every_bad_file_has_a_line_with_its_key_and_reason(config_dir: Path) -> None:
    (config_dir / "toll_roads.yaml").write_text("retrieve_by: road")
    (config_dir / "server.yaml").unlink()
    (config_dir / "access.yaml").write_text("callers: []\nmethods: {}")
    ended = ridehail("config", "check", "--config-dir", str(config_dir))
    bad = [line for line in ended.stdout.splitlines() if line.startswith("bad ")]
    assert (ended.returncode, len(bad)) == (1, 3)
    assert f"{config_dir / 'server.yaml'}: No such file" in bad[0]
    assert bad[1].count(" have no entry") == 1
    assert bad[1].count("ridehail.family.v1.FamilyService/") > 1
    assert "toll_roads.yaml: retrieve_by: " in bad[2]
    # Of one service only its own files count.
    alone = ridehail("config", "check", "eulas", "--config-dir", str(config_dir)).stdout
    assert "toll_roads.yaml" not in alone
    assert "FamilyService" not in alone


# --- all that is missing, at once


def test_everything_that_a_start_lacks_has_a_line(tmp_path: Path, config_dir: Path) -> None:
    (config_dir / "toll_roads.yaml").unlink()
    words = ("serve", "toll-roads", "order-state", "--config-dir", str(config_dir), "--address", "eats-orders=x:1")
    ended = ridehail(*words, environment={"RIDEHAIL_KEYS_DIR": str(tmp_path), "RIDEHAIL_DATABASE_URL": ""})
    assert (ended.returncode, ended.stdout) == (1, "")
    head, *lines = ended.stderr.splitlines()
    assert head == f"ridehail: {len(lines)} things are missing or wrong:"
    for part in (
        "toll-roads needs a database: give --database-url or set RIDEHAIL_DATABASE_URL_TOLL_ROADS",
        "order-state needs a database",
        "toll-roads calls order-core: give --address order-core=HOST:PORT",
        "order-state calls order-core",
        "order-state calls grocery-orders",
        f"{config_dir / 'toll_roads.yaml'}: No such file",
        f"no *.public.pem in {tmp_path / 'tickets'}",
        f"no *.private.pem in {tmp_path / 'tickets' / 'toll-roads'}",
        f"no *.private.pem in {tmp_path / 'tickets' / 'order-state'}",
        f"{tmp_path / 'order-state-tags.key'} cannot be read: No such file",
    ):
        assert len([line for line in lines if line.startswith(f"  {part}")]) == 1, part
    assert len(lines) == 10


@pytest.mark.parametrize("role", ["serve", "work"])
async def test_a_process_starts_with_the_keys_that_the_table_says_and_no_others(
    keys: Path, tmp_path: Path, database_url: str, config_dir: Path, role: Role
) -> None:
    """By `ridehail services`; besides, servers but for the authorizer have the public keys of tickets."""
    needed = json.loads(ridehail("services", "--json").stdout)
    assert [name for name in needed if "gateway.key" in needed[name]["own keys"]] == [suite.AUTHORIZER]
    for name, definition in suite.SERVICES.items():
        if role == "work" and not definition.has_tasks:
            continue
        patterns = list(needed[name]["own keys"])
        if role == "serve" and name != suite.AUTHORIZER:
            patterns.append("tickets/*/*.public.pem")
        own = tmp_path / name
        own.mkdir()
        for file in (file for pattern in patterns for file in keys.glob(pattern)):
            (own / file.relative_to(keys)).parent.mkdir(parents=True, exist_ok=True)
            copy2(file, own / file.relative_to(keys))
        assert problems_of(key_checks([definition], own, role)) == []
        settings = ProcessSettings(
            services=(name,),
            config_dir=config_dir,
            keys_dir=own,
            database_urls={name: database_url},
            addresses=dict.fromkeys(definition.dependencies, "127.0.0.1:1"),
        )
        async with app.build([definition], settings) as built:
            if role == "serve":
                app.Server(built, settings)


# --- doctor


async def test_the_doctor_finds_a_healthy_suite_well(
    running_suite: SuiteInProcess, module_config_dir: Path, keys_dir: Path
) -> None:
    found = await doctor(running_suite, module_config_dir, keys_dir, url=role_url(running_suite))
    assert [(one["subject"], one["text"]) for one in found if one["level"] != "ok"] == []
    subjects = {one["subject"] for one in found}
    assert {"configuration", "keys", "database of toll-roads", "dependency order-core"} == subjects
    texts = " ".join(one["text"] for one in found)
    assert "schema toll_roads is at 000" in texts
    assert f"{running_suite.address} serves" in texts


async def test_the_doctor_says_what_is_not_well_and_what_to_do(
    running_suite: SuiteInProcess, config_dir: Path, tmp_path: Path
) -> None:
    (config_dir / "toll_roads.yaml").write_text("retrieve_by: road")
    with psycopg.connect(running_suite.database_url, autocommit=True) as owner:
        (latest,) = owner.execute("SELECT max(migration_id) FROM toll_roads._yoyo_migration").fetchone() or ("",)
        hidden = "UPDATE toll_roads._yoyo_migration SET migration_id = %s WHERE migration_id = %s"
        owner.execute(hidden, ("9999.later", latest))
        try:
            found = await doctor(
                running_suite, config_dir, tmp_path, address="127.0.0.1:1", gateway="http://127.0.0.1:1"
            )
        finally:
            owner.execute(hidden, (latest, "9999.later"))
    bad = {one["subject"]: one for one in found if one["level"] == "bad"}
    assert "retrieve_by" in bad["configuration"]["text"]
    assert bad["keys"]["text"] == f"no *.private.pem in {tmp_path / 'tickets' / 'toll-roads'}"
    assert f"schema toll_roads lacks migration {latest}" in bad["database of toll-roads"]["text"]
    assert bad["database of toll-roads"]["advice"] == "`ridehail migrate toll-roads`"
    assert bad["dependency order-core"]["text"].startswith("127.0.0.1:1: UNAVAILABLE")
    assert "gateway config" in bad["gateway"]["advice"]
    assert all(one["advice"] for one in bad.values())
    (warning,) = [one for one in found if one["level"] == "warn"]
    assert warning["text"] == "the role is a superuser"


def test_the_doctor_names_an_unreachable_database_and_goes_on(keys: Path) -> None:
    words = ("doctor", "toll-roads", "--database-url", "postgresql:///x?host=/nowhere", "--keys-dir", str(keys))
    ended = ridehail(*words)
    assert (ended.returncode, ended.stderr) == (1, "")
    lines = ended.stdout.splitlines()
    assert lines[0].startswith("bad   command line: toll-roads calls order-core: give --address")
    assert lines[-1].startswith("bad   database of toll-roads: ")
    assert " -> " in lines[-1]


def role_url(suite: SuiteInProcess) -> str:
    return migrations.create_role(suite.database_url, "toll_roads")


async def doctor(
    suite: SuiteInProcess,
    config_dir: Path,
    keys: Path,
    *,
    url: str | None = None,
    address: str | None = None,
    gateway: str | None = None,
) -> list[dict[str, str]]:
    words = ["doctor", "toll-roads", "--json", "--config-dir", str(config_dir), "--keys-dir", str(keys)]
    words += ["--database-url", url or suite.database_url, "--address", f"order-core={address or suite.address}"]
    words += ["--gateway", gateway] if gateway else []
    # In a thread: the suite runs in this one's loop.
    ended = await asyncio.to_thread(ridehail, *words)
    found: list[dict[str, str]] = json.loads(ended.stdout)
    assert ended.returncode == any(one["level"] == "bad" for one in found)
    return found
