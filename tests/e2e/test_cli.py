"""The command line: help, and one line for whatever is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import jwt
import psycopg
import pytest

from ridehail_servers import resources, suite
from ridehail_servers.command_line.options import UsageError, given_addresses
from ridehail_servers.gateway.configuration import default_descriptor_set
from ridehail_servers.runtime.data_dir import DataDir
from tests.support.command_line import ridehail
from tests.support.databases import empty_database
from tests.support.up import cli


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = DataDir(tmp_path_factory.mktemp("cli"))
    data.ensure_keys(suite.ticket_sources(resources.folder("config")))
    return data.path


@pytest.mark.parametrize(
    "command",
    [
        "up",
        "serve",
        "worker",
        "migrate",
        "health",
        "token",
        "ticket",
        "gateway",
        "gateway config",
        "gateway check",
        "gateway docs",
        "toll-roads",
        "toll-roads purge-offers",
        "toll-roads archive",
        "toll-roads purge-orders",
        "toll-roads history",
        "eulas",
        "eulas import",
        "eulas purge",
        "personalstate",
        "personalstate copy",
        "shadow",
        "shadow report",
    ],
)
def test_every_command_has_help(command: str) -> None:
    ended = ridehail(*command.split(), "--help")
    assert ended.returncode == 0
    assert f"Usage: ridehail {command}".strip() in ended.stdout


def test_the_command_itself_has_help() -> None:
    ended = cli("--help")
    assert ended.returncode == 0
    assert "Usage: ridehail" in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["serve", "nonsense"], "no service 'nonsense'; there are: toll-roads, order-core"),
        (["serve", "order-core"], "order-core needs a database"),
        (["serve", "toll-roads", "--database-url", "postgresql://x"], "toll-roads calls order-core"),
        (["serve", "toll-roads", "--database-url", "x=y", "--address", "order-core"], "--address takes NAME=HOST:PORT"),
        (["serve", "toll-roads", "--database-url", "x=y", "--address", "order-core=x:99999"], "a port of 1 to 65535"),
        (["gateway", "config", "--address", "toll-roads=x:0"], "a port of 1 to 65535"),
        (["ticket", "--src", "nobody", "--dst", "toll-roads"], "no caller 'nobody'"),
        (["ticket", "--src", "routestats", "--dst", "nobody"], "no service 'nobody'"),
        (["ticket", "--src", "routestats", "--dst", "toll-roads", "--ttl", "61m"], "an hour at most"),
        (["ticket", "--src", "routestats", "--dst", "toll-roads", "--ttl", "soon"], "--ttl takes a number"),
        (["token", "--uid", "a\nb"], "cannot be"),
        (["ticket", "--src", "gateway", "--dst", "toll-roads"], "give --uid"),
        (["ticket", "--src", "gateway", "--dst", "toll-roads", "--uid", "1", "--phone-id", "a\nb"], "cannot be"),
        (["personalstate", "copy", "--from", "protocol", "--to", "protocol"], "must be two back ends"),
        (
            ["personalstate", "copy", "--from", "protocol", "--to", "user-state", "--follow", "--dry-run"],
            "do not go together",
        ),
        (
            ["personalstate", "copy", "--from", "protocol", "--to", "user-state", "--address", "protocol=127.0.0.1:1"],
            "give --address user-state=HOST:PORT",
        ),
        (["shadow", "report", "--since", "soon"], "--since takes minutes, hours or days"),
        (
            ["gateway", "config", "--address", "toll-roads=127.0.0.1:1"],
            "no address of api-proxy, eulas, family, inapp-communications, order-core, order-state, passenger",
        ),
    ],
)
def test_a_wrong_call_ends_with_one_line(keys: Path, arguments: list[str], complaint: str) -> None:
    environment = {"RIDEHAIL_DATA_DIR": str(keys)}
    ended = ridehail(*arguments, environment=environment)
    assert ended.returncode == 1
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert line.startswith("ridehail: ")
    assert complaint in line


def test_a_process_prints_its_result_alone_or_one_line_of_error(keys: Path) -> None:
    words, environment = ("ticket", "--src", "routestats", "--dst"), {"RIDEHAIL_DATA_DIR": str(keys)}
    good = cli(*words, "toll-roads", environment=environment)
    assert (good.returncode, good.stderr, good.stdout.count("\n")) == (0, "", 1)
    bad = cli(*words, "nobody", environment=environment)
    assert (bad.returncode, bad.stdout, bad.stderr.count("\n")) == (1, "", 1)
    assert bad.stderr.startswith("ridehail: no service 'nobody'; there are: ")


ALL_ADDRESSES = [word for name in suite.SERVICES for word in ("--address", f"{name}=127.0.0.1:1")]


@pytest.mark.parametrize(
    "address",
    [
        "x",
        "x:",
        "x:0",
        "x:65536",
        "x:99999",
        "x:-1",
        ":1",
        "x:1:2",
        "x y:1",
        "dns:///x",
        "dns:///x:70000",
        "[::1]",
        "unix:",
        "",
    ],
)
def test_an_impossible_address_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="a port of 1 to 65535"):
        given_addresses([f"eulas={address}"])


@pytest.mark.parametrize(
    "address",
    [
        *("x:1", "10.0.0.7:65535", "[::1]:50051", "order-core.svc.local:50051", "dns:///x:50051", "dns://8.8.8.8/x:1"),
        *("ipv4:10.0.0.1:1,10.0.0.2:1", "ipv6:[::1]:1", "unix:/run/x.sock", "unix:///run/x.sock"),
    ],
)
def test_an_address_is_host_and_port_or_another_target_of_grpc(address: str) -> None:
    assert given_addresses([f"eulas={address}"]) == {"eulas": address}


def test_the_gateways_configuration_is_printed_with_a_warning(keys: Path, tmp_path: Path) -> None:
    environment = {"RIDEHAIL_DATA_DIR": str(keys)}
    printed = ridehail("gateway", "config", *ALL_ADDRESSES, environment=environment)
    assert printed.returncode == 0
    (warning,) = printed.stderr.splitlines()
    assert "holds the gateway's key" in warning
    assert "static_resources" in printed.stdout
    file = tmp_path / "envoy.yaml"
    written = ridehail("gateway", "config", *ALL_ADDRESSES, "--output", str(file), environment=environment)
    assert (written.returncode, written.stderr, written.stdout) == (0, "", "")
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_gateways_configuration_can_take_the_contracts_along(keys: Path, tmp_path: Path) -> None:
    environment = {"RIDEHAIL_DATA_DIR": str(keys)}
    words = ("gateway", "config", *ALL_ADDRESSES, "--with-descriptors")
    refused = ridehail(*words, environment=environment)
    assert refused.stderr == "ridehail: --with-descriptors needs --output: there are several files to write\n"
    assert ridehail(*words, "--output", str(tmp_path / "envoy.yaml"), environment=environment).returncode == 0
    copied = tmp_path / "descriptors.binpb"
    assert f'proto_descriptor: "{copied}"' in (tmp_path / "envoy.yaml").read_text()
    assert copied.read_bytes() == default_descriptor_set().read_bytes()


def test_missing_keys_are_named(tmp_path: Path) -> None:
    ended = ridehail("ticket", "--src", "routestats", "--dst", "toll-roads", "--data-dir", str(tmp_path / "nothing"))
    assert ended.returncode == 1
    assert "no *.public.pem in" in ended.stderr


def test_an_unreachable_database_is_named(tmp_path: Path) -> None:
    ended = ridehail("migrate", "--database-url", f"postgresql:///ridehail?host={tmp_path}")
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "connection" in ended.stderr


def test_ticket_and_token_print_nothing_but_the_token(keys: Path) -> None:
    environment = {"RIDEHAIL_DATA_DIR": str(keys)}
    ticket = ridehail("ticket", "--src", "routestats", "--dst", "toll-roads", environment=environment).stdout
    claims = jwt.decode(ticket.strip(), options={"verify_signature": False})
    assert (claims["src"], claims["dst"], claims["exp"] - claims["iat"]) == ("routestats", "toll-roads", 3600)
    words = ["--uid", "400", "--user-id", "u", "--family-role", "owner", "--phone-id", "p", "--ttl", "2h"]
    token = ridehail("token", *words, environment=environment).stdout
    claims = jwt.decode(token.strip(), options={"verify_signature": False})
    assert {name: claims[name] for name in ("sub", "user_id", "family_role", "phone_id")} == {
        "sub": "400",
        "user_id": "u",
        "family_role": "owner",
        "phone_id": "p",
    }
    assert claims["exp"] - claims["iat"] == 7200
    assert ticket.count("\n") == token.count("\n") == 1


# --- toll-roads

JOBS = ("purge-offers", "archive", "purge-orders")


@pytest.mark.parametrize("job", JOBS)
def test_a_job_without_work_reports_it(module_database_url: str, tmp_path: Path, job: str) -> None:
    ended = ridehail("toll-roads", job, "--database-url", module_database_url, "--data-dir", str(tmp_path))
    assert (ended.returncode, ended.stderr) == (0, "")
    (line,) = ended.stdout.splitlines()
    assert line.startswith(f"{job}: ")
    assert "=1" not in line


def test_the_jobs_do_their_work_and_the_order_is_found_wherever_it_is(module_database_url: str, tmp_path: Path) -> None:
    archive = f"file:{tmp_path / 'archive'}"
    common = ("--database-url", module_database_url)
    with psycopg.connect(module_database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO toll_roads.orders (order_id, created_at, can_switch_road, yandex_uid)"
            " VALUES ('ancient', '2020-02-29T23:59:59.123456Z', true, 'uid-4711')"
        )
        connection.execute(
            "INSERT INTO toll_roads.log_has_toll_road (order_id, created_at, has_toll_road)"
            " VALUES ('ancient', '2020-02-29T23:59:59.123456Z', true)"
        )
        connection.execute("INSERT INTO toll_roads.offers VALUES ('ancient', '2020-02-29T23:59:59Z')")

    def run(*words: str) -> str:
        ended = ridehail("toll-roads", *words, *common)
        assert (ended.returncode, ended.stderr) == (0, "")
        return ended.stdout.strip()

    def where() -> object:
        return json.loads(run("history", "ancient", "--json", "--archive-url", archive))["changes"][0]["where"]

    due = run("archive", "--archive-url", archive, "--dry-run")
    assert due == "archive, dry run: archive_orders due=1, archive_log due=1"
    assert not (tmp_path / "archive").exists()
    assert run("purge-offers", "--dry-run") == "purge-offers, dry run: purge_offers due=1"
    assert run("purge-offers", "--batch-size", "1") == "purge-offers: purge_offers deleted=1"
    too_early = ridehail("toll-roads", "purge-orders", *common)
    assert "purge_log kept=1, purge_orders kept=1" in too_early.stdout
    assert [json.loads(line)["event"] for line in too_early.stderr.splitlines()] == [
        "old rows are kept: they are not in the archive"
    ] * 2
    assert where() == "database"
    assert run("archive", "--archive-url", archive) == "archive: archive_orders archived=1, archive_log archived=1"
    assert where() == "database and archive"
    assert "purge_log due=1, purge_orders due=1" in run("purge-orders", "--dry-run")
    assert "purge_log deleted=1 kept=0, purge_orders deleted=1 kept=0" in run("purge-orders", "--batch-size", "7")
    assert where() == "archive"
    assert run("history", "ancient", "--archive-url", archive).splitlines() == [
        "order ancient",
        "created 2020-02-29T23:59:59.123456Z, offer none, the road may be switched",
        "in archive",
        "",
        "created                      road  in",
        "2020-02-29T23:59:59.123456Z  toll  archive",
    ]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["archive", "--batch-size", "0"], "--batch-size takes a number from 1 to 50000, not '0'"),
        (["archive", "--batch-size", "50001"], "--batch-size takes a number"),
        (["purge-offers", "--batch-size", "-1"], "--batch-size takes a number"),
        (["purge-orders", "--batch-size", "many"], "--batch-size takes a number"),
        (["purge-orders", "--batch-size", "٣"], "--batch-size takes a number"),
        (["archive", "--archive-url", ""], "--archive-url: a folder is needed"),
        (
            ["archive", "--archive-url", "http://bucket/x"],
            "a path, file:PATH, s3://BUCKET/FOLDER or yt://PROXY/PATH is",
        ),
        (["archive", "--archive-url", "yt://x/home?token=t"], "write token_file=PATH, or set YT_TOKEN"),
        (["history", "x", "--also-read", "yt://x"], "--also-read: yt://PROXY/PATH is needed"),
        (["archive", "--archive-url", "memory://x"], "--archive-url: a path"),
        (["history", "x", "--archive-url", "file://elsewhere/x"], "'elsewhere' is another machine"),
        (["archive", "--archive-url", "/dev/null/x"], "the archive at file:///dev/null/x/orders failed"),
        (["archive", "--config-dir", "/nowhere"], "/nowhere/toll_roads.yaml: No such file"),
        (["history", ""], "1 to 128 printable characters"),
        (["history", "x" * 129], "1 to 128 printable characters"),
        (["history", "a\nb"], "1 to 128 printable characters"),
        (["history", "nobody's"], "no such order"),
        (["purge-offers", "--database-url", "nonsense"], 'missing "="'),
        (["purge-offers", "--database-url", "postgresql:///ridehail?host=/nowhere"], "the database is unavailable"),
    ],
)
def test_a_wrong_call_of_a_job_ends_with_one_line(
    module_database_url: str, tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    environment = {"RIDEHAIL_DATABASE_URL": module_database_url, "RIDEHAIL_DATA_DIR": str(tmp_path)}
    ended = ridehail("toll-roads", *arguments, environment=environment)
    assert ended.returncode == 1
    assert ended.stdout == ""
    *logged, line = ended.stderr.splitlines()
    assert [json.loads(it)["event"] for it in logged] in ([], ["database unreachable"])
    assert line.startswith("ridehail: ")
    assert complaint in line


@pytest.mark.parametrize("left", [None, "garbage", "999999999\n/x\n1\n5432\n/x\n\n1 1\nready\n"])
def test_without_a_running_suite_a_job_needs_a_database_url(tmp_path: Path, left: str | None) -> None:
    if left is not None:
        (tmp_path / "postgres").mkdir()
        (tmp_path / "postgres" / "postmaster.pid").write_text(left)
    ended = ridehail("toll-roads", "archive", "--data-dir", str(tmp_path))
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert "toll-roads needs a database: give --database-url" in line
    assert "--data-dir of a running `ridehail up`" in line


def test_a_schema_without_migrations_is_named(module_database_url: str) -> None:
    with empty_database(module_database_url) as url:
        ended = ridehail("toll-roads", "purge-offers", "--database-url", url)
    assert ended.returncode == 1
    assert "toll_roads.offers" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
