"""The command line: help, and one line for whatever is wrong."""

from __future__ import annotations

from pathlib import Path

import jwt
import pytest

from ridehail_servers.runtime.data_dir import DataDir
from tests.support.up import cli


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = DataDir(tmp_path_factory.mktemp("cli"))
    data.ensure_keys()
    return data.path


@pytest.mark.parametrize(
    "command", ["", "up", "serve", "worker", "migrate", "token", "ticket", "gateway", "gateway config", "gateway check"]
)
def test_every_command_has_help(command: str) -> None:
    ended = cli(*command.split(), "--help")
    assert ended.returncode == 0
    assert "Usage: ridehail" in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["serve", "nonsense"], "no service 'nonsense'; there are: toll-roads, order-core"),
        (["serve", "order-core"], "order-core needs a database"),
        (["serve", "toll-roads", "--database-url", "postgresql://x"], "toll-roads calls order-core"),
        (["serve", "toll-roads", "--database-url", "x=y", "--address", "order-core"], "--address takes NAME=HOST:PORT"),
        (["ticket", "--src", "nobody", "--dst", "toll-roads"], "no caller 'nobody'"),
        (["ticket", "--src", "routestats", "--dst", "nobody"], "no service 'nobody'"),
        (["ticket", "--src", "routestats", "--dst", "toll-roads", "--ttl", "61m"], "an hour at most"),
        (["ticket", "--src", "routestats", "--dst", "toll-roads", "--ttl", "soon"], "--ttl takes a number"),
        (["token", "--uid", "a\nb"], "cannot be"),
        (
            ["gateway", "config", "--address", "toll-roads=127.0.0.1:1"],
            "no address of order-core, passenger",
        ),
    ],
)
def test_a_wrong_call_ends_with_one_line(keys: Path, arguments: list[str], complaint: str) -> None:
    environment = {"RIDEHAIL_DATA_DIR": str(keys)}
    ended = cli(*arguments, environment=environment)
    assert ended.returncode == 1
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert line.startswith("ridehail: ")
    assert complaint in line


def test_missing_keys_are_named(tmp_path: Path) -> None:
    ended = cli("ticket", "--src", "routestats", "--dst", "toll-roads", "--data-dir", str(tmp_path / "nothing"))
    assert ended.returncode == 1
    assert "no *.public.pem in" in ended.stderr


def test_a_database_that_does_not_answer_is_named(tmp_path: Path) -> None:
    ended = cli("migrate", "--database-url", f"postgresql:///ridehail?host={tmp_path}")
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "connection" in ended.stderr


def test_ticket_and_token_print_nothing_but_the_token(keys: Path) -> None:
    environment = {"RIDEHAIL_DATA_DIR": str(keys)}
    ticket = cli("ticket", "--src", "routestats", "--dst", "toll-roads", environment=environment).stdout
    claims = jwt.decode(ticket.strip(), options={"verify_signature": False})
    assert (claims["src"], claims["dst"], claims["exp"] - claims["iat"]) == ("routestats", "toll-roads", 3600)
    words = ["--uid", "400", "--user-id", "u", "--family-role", "owner", "--phone-id", "p", "--ttl", "2h"]
    token = cli("token", *words, environment=environment).stdout
    claims = jwt.decode(token.strip(), options={"verify_signature": False})
    assert {name: claims[name] for name in ("sub", "user_id", "family_role", "phone_id")} == {
        "sub": "400",
        "user_id": "u",
        "family_role": "owner",
        "phone_id": "p",
    }
    assert claims["exp"] - claims["iat"] == 7200
    assert ticket.count("\n") == token.count("\n") == 1
