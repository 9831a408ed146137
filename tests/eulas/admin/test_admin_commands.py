"""`ridehail eulas list`, `create`, `update`, ...: as an admin uses them against a running eulas."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.eulas.admin.admin_harness import IMPORTED, AdminHarness
from tests.support.command_line import ridehail


class Commands:
    """Runs commands against the server of a harness, which goes on meanwhile."""

    def __init__(self, admin: AdminHarness) -> None:
        suite = admin.at.suite
        self._options = ("--address", f"eulas={suite.address}", "--keys-dir", str(suite.settings.keys_dir))

    async def run(self, *words: str) -> str:
        """Returns what a command prints; it must succeed."""
        ended = await asyncio.to_thread(ridehail, "eulas", *words, *self._options)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    async def refused(self, *words: str) -> str:
        """Returns the one line in which a command says why it fails."""
        ended = await asyncio.to_thread(ridehail, "eulas", *words, *self._options)
        assert (ended.returncode, ended.stdout) == (1, "")
        assert ended.stderr.startswith("ridehail: ")
        assert ended.stderr.count("\n") == 1
        return ended.stderr.removeprefix("ridehail: ").strip()

    async def json(self, *words: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (await self.run(*words, "--json")).splitlines()]


@pytest.fixture
async def commands(admin: AdminHarness) -> Commands:
    # Commands take the system's clock for their tickets, the suite that of the test.
    admin.at.clock[0] = datetime.now(UTC)
    return Commands(admin)


def written(folder: Path, **changes: Any) -> str:
    entry = {
        "eula_id": "fresh",
        "type": "rules",
        "revision": 1,
        "ttl_s": 60,
        "rejectable": True,
        "title": {"en": "Fresh"},
        **changes,
    }
    file = folder / "agreement.yaml"
    file.write_text(yaml.safe_dump(entry))
    return str(file)


async def test_an_agreement_from_its_creation_to_its_withdrawal(
    admin: AdminHarness, commands: Commands, tmp_path: Path
) -> None:
    created = await commands.run("create", written(tmp_path), "--actor", "anna")
    assert created.startswith(f"fresh: version={IMPORTED + 1} type=rules revision=1 ttl_s=60 position=60 in force, ")
    assert created.endswith(" by anna (admin)\n")
    await admin.in_force(IMPORTED + 1)
    await admin.at.user("rider").save(("fresh", "accepted"))
    changed = written(tmp_path, ttl_s=90)
    assert await commands.run("preview", changed) == "changes ttl_s; 1 riders would have to decide again\n"
    version = ("--expected-version", str(IMPORTED + 1))
    assert await commands.refused("update", changed, *version) == "1 riders will have to decide again: give --yes"
    assert "ttl_s=90" in await commands.run("update", changed, *version, "--yes")
    (run,) = await commands.json("progress")
    assert (run["eula_id"], run["state"], run["expected"], run["marked"]) == ("fresh", "running", 1, 0)
    async with admin.at.suite.worker():
        line = await commands.run("progress", "fresh", "--watch")
    assert line == f"{IMPORTED + 2} fresh: done expected=1 checked=1 marked=1\n"
    await commands.run("withdraw", "fresh", "--expected-version", str(IMPORTED + 2), "--actor", "oleg")
    assert "fresh" not in await commands.run("list")
    assert "withdrawn" in (await commands.run("list", "--withdrawn")).splitlines()[-1]
    history = await commands.json("history", "fresh")
    assert [(one["kind"], one["actor"], one["asks_again"]) for one in history[:1]] == [("withdrawn", "oleg", False)]
    assert [one["kind"] for one in history] == ["withdrawn", "updated", "created"]
    assert len((await commands.run("history", "--limit", "2")).splitlines()) == 2


async def test_what_show_prints_can_be_updated(admin: AdminHarness, commands: Commands, tmp_path: Path) -> None:
    shown = await commands.run("show", "sdc")
    assert shown.startswith("# version 3\n")
    file = tmp_path / "sdc.yaml"
    file.write_text(shown.replace("Cars", "Self-driving cars"))
    await commands.run("update", str(file), "--expected-version", "3")
    (listed,) = [one for one in await commands.json("list") if one["agreement"]["eula_id"] == "sdc"]
    assert listed["agreement"]["title"] == {"en": "Self-driving cars", "ru": "Машины"}
    (shown_json,) = await commands.json("show", "sdc")
    assert (shown_json["version"], shown_json["withdrawn"]) == (IMPORTED + 1, False)


async def test_the_file_is_imported_once(commands: Commands) -> None:
    counts = f"created=0 updated=0 unchanged={IMPORTED} kept=0 not_in_file=0 incomplete=0"
    assert await commands.run("import-file") == f"import: {counts}\n"
    assert await commands.run("import-file", "--dry-run") == f"import, dry run: {counts}\n"


async def test_agreements_are_listed_as_apps_show_them(admin: AdminHarness, commands: Commands) -> None:
    listed = [one["agreement"]["eula_id"] for one in await commands.json("list")]
    assert listed == ["surge_il", "surge_haifa", "sdc", "rules", "anchor"]


async def test_what_goes_wrong_is_said_in_one_line(commands: Commands, tmp_path: Path) -> None:
    file = written(tmp_path, ttl_s=0)
    assert await commands.refused("create", file) == f"{file}: ttl_s: Input should be greater than or equal to 1"
    assert "agreement.zones[0]: is not a configured zone" in await commands.refused(
        "create", written(tmp_path, zones=["yafo"])
    )
    assert await commands.refused("show", "nothing") == "no agreement 'nothing' in the database"
    assert await commands.refused("withdraw", "nothing", "--expected-version", "1") == (
        "no agreement 'nothing' in the database"
    )
    assert "EULA_VERSION_CONFLICT" in await commands.refused("withdraw", "sdc", "--expected-version", "1")
    missing = await commands.refused("create", str(tmp_path / "nothing.yaml"))
    assert missing.endswith("nothing.yaml: No such file or directory")
