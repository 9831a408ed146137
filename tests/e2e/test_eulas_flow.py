"""A rider and their agreements, from the first question to the last, as the app sees it: JSON through the gateway.

The configuration is the shipped one.
"""

from __future__ import annotations

import asyncio
import json
import re
import urllib.request
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.config_edits import edit
from tests.support.harness import Harness, behind_a_gateway
from tests.support.suite_in_process import suite_in_process
from tests.support.waiting import LIMIT_S, until

MOSCOW = "moscow"
TARIFFS = ["econom", "self_driving", "child"]
START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
# How long an answer counts, of the shipped agreements.
SDC_DAYS = 90
CHILD_SEAT_DAYS = 182.5


@dataclass
class App:
    """A rider's app behind the gateway."""

    harness: Harness
    clock: list[datetime]
    uid: str
    language: str = "en"

    async def post(self, path: str, body: object) -> dict[str, Any]:
        """Makes a call that succeeds."""
        headers = {**self.harness.session(uid=self.uid, now=self.clock[0]), "accept-language": self.language}
        url = f"http://127.0.0.1:{self.harness.gateway.public_port}{path}"
        request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")

        def send() -> dict[str, Any]:
            with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
                answered: dict[str, Any] = json.loads(answer.read())
            return answered

        return await asyncio.to_thread(send)

    async def listed(self, wanted: str, zone: str | None = None) -> list[dict[str, Any]]:
        body = {"filter": wanted} if zone is None else {"filter": wanted, "zone_name": zone}
        listed: list[dict[str, Any]] = (await self.post("/4.0/eulas/v1/list", body))["eulas"]
        return listed

    async def asked(self, zone: str = MOSCOW) -> list[str]:
        """Returns the ids of the agreements that the rider has not decided yet."""
        return [eula["eula_id"] for eula in await self.listed("unknown", zone)]

    async def save(self, **answers: str) -> list[str]:
        """Saves decisions in one batch; returns the ids to ask again."""
        eulas = [{"eula_id": eula_id, "status": status} for eula_id, status in answers.items()]
        refresh: list[str] = (await self.post("/4.0/eulas/v1/save", {"eulas": eulas}))["refresh"]
        return refresh

    async def signed(self) -> dict[str, str]:
        return {eula["eula_id"]: eula["status"] for eula in await self.listed("signed")}

    async def tariffs(self, zone: str = MOSCOW) -> tuple[list[str], dict[str, str]]:
        """Returns what is shown, and what is hidden and why."""
        answer = await self.post("/3.0/routestats", {"zone_name": zone, "tariffs": TARIFFS})
        return answer["tariffs"], {one["tariff"]: one["reason"] for one in answer["hidden"]}

    async def zone_info(self, zone: str = MOSCOW) -> dict[str, Any]:
        return await self.post("/3.0/zoneinfo", {"zone_name": zone})

    def pass_time(self, *, days: float) -> None:
        self.clock[0] += timedelta(days=days)

    def raise_revision(self, eula_id: str) -> None:
        """Edits the configuration file."""
        file = self.harness.suite.settings.config_dir / "eulas.yaml"
        raised, edits = re.subn(
            rf"(eula_id: {eula_id}\n(?:    .*\n)*?    revision: )(\d+)",
            lambda match: f"{match[1]}{int(match[2]) + 1}",
            file.read_text(),
        )
        assert edits == 1
        fresh = file.with_suffix(".new")
        fresh.write_text(raised)
        fresh.replace(file)

    def set_switches(self, **values: object) -> None:
        """Edits api_proxy's configuration file."""
        edit(self.harness.suite.settings.config_dir / "api_proxy.yaml", values)


@pytest.fixture(scope="module")
async def harness(
    module_database_url: str, keys_dir: Path, module_config_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Harness, list[datetime]]]:
    """The services of a rider's agreements, with a clock that never goes back."""
    clock = [START]
    # What is measured here is not how fast a busy machine is.
    edit(module_config_dir / "api_proxy.yaml", {"EULAS_TIMEOUT_MS": 900})
    running = suite_in_process(
        database_url=module_database_url,
        keys_dir=keys_dir,
        config_dir=module_config_dir,
        services=("eulas", "api-proxy", "passenger-authorizer"),
        clock=lambda: clock[0],
    )
    async with running as suite, behind_a_gateway(suite, tmp_path_factory.mktemp("gateway")) as harness:
        yield harness, clock


@pytest.fixture
def app(harness: tuple[Harness, list[datetime]]) -> App:
    """The app of a rider who has decided nothing yet."""
    return App(*harness, uid=uuid.uuid4().hex)


@pytest.mark.timeout(600)
async def test_from_the_first_question_to_the_next_revision(app: App) -> None:
    # The rider is asked, in their language, the same by both doors.
    app.language = "ru-RU, en;q=0.5"
    unknown = await app.listed("unknown", MOSCOW)
    assert [(one["eula_id"], one["status"], one["title"]) for one in unknown] == [
        ("sdc", "unknown", "Поездка на беспилотном автомобиле"),
        ("child_seat_ru", "unknown", "Поездки с детьми"),  # noqa: RUF001
        ("personal_data", "unknown", "Как мы используем ваши данные"),
    ]
    assert (await app.zone_info())["need_acceptance"] == unknown
    assert await app.tariffs() == (["econom", "child"], {"self_driving": "eula_unknown"})

    # One batch: yes to one, no to the other.
    assert await app.save(sdc="accepted", child_seat_ru="rejected") == ["routestats"]
    assert await app.signed() == {"sdc": "accepted", "child_seat_ru": "rejected"}
    assert await app.asked() == ["personal_data"]
    assert [one["eula_id"] for one in (await app.zone_info())["need_acceptance"]] == ["personal_data"]
    assert await app.tariffs() == (["econom", "self_driving"], {"child": "eula_rejected"})

    # An answer that no tariff depends on changes no tariff.
    assert await app.save(personal_data="accepted") == []
    assert (await app.zone_info())["need_acceptance"] == []

    # A change of mind; what is asked again is answered by it at once.
    assert await app.save(sdc="rejected", child_seat_ru="accepted") == ["routestats"]
    assert await app.tariffs() == (["econom", "child"], {"self_driving": "eula_rejected"})
    assert await app.save(sdc="accepted") == ["routestats"]
    assert await app.tariffs() == (TARIFFS, {})

    # The answer to one agreement is over; the others still count.
    app.pass_time(days=SDC_DAYS)
    assert await app.asked() == ["sdc"]
    assert await app.signed() == {"child_seat_ru": "accepted", "personal_data": "accepted"}
    assert await app.tariffs() == (["econom", "child"], {"self_driving": "eula_unknown"})
    await app.save(sdc="accepted")
    assert await app.tariffs() == (TARIFFS, {})
    assert await app.asked() == []
    app.pass_time(days=CHILD_SEAT_DAYS - SDC_DAYS)
    assert await app.asked() == ["sdc", "child_seat_ru"]
    await app.save(sdc="accepted", child_seat_ru="rejected")

    # A new revision of the text: the rider is asked again, and until then has not agreed.
    app.raise_revision("sdc")

    async def is_asked_again() -> bool:
        return await app.asked() == ["sdc"]

    await until(is_asked_again)
    assert await app.signed() == {"child_seat_ru": "rejected", "personal_data": "accepted"}
    assert await app.tariffs() == (["econom"], {"self_driving": "eula_unknown", "child": "eula_rejected"})
    await app.save(sdc="accepted")
    assert await app.tariffs() == (["econom", "self_driving"], {"child": "eula_rejected"})


async def test_each_zone_decides_about_a_rider_for_itself(app: App) -> None:
    await app.save(surge_il="rejected", child_seat_il="accepted")
    answer = await app.post(
        "/3.0/routestats", {"zone_name": "tel_aviv", "tariffs": ["econom", "econom_surge", "child", "self_driving"]}
    )
    assert answer == {
        "tariffs": ["econom", "child", "self_driving"],
        "hidden": [{"tariff": "econom_surge", "reason": "eula_rejected"}],
    }
    # The type is the same in both countries: who accepted one country's rules has accepted the type.
    assert await app.tariffs() == (["econom", "child"], {"self_driving": "eula_unknown"})


async def test_while_eulas_is_switched_off_only_what_allows_unknown_is_shown(app: App) -> None:
    await app.save(sdc="accepted", child_seat_ru="rejected")
    off = (["econom", "child"], {"self_driving": "eulas_unavailable"})

    async def is_off() -> bool:
        return await app.tariffs() == off

    async def is_on() -> bool:
        return await app.tariffs() == (["econom", "self_driving"], {"child": "eula_rejected"})

    assert await is_on()
    app.set_switches(EULAS_SERVICE_ENABLED=False)
    await until(is_off)
    assert await app.zone_info() == {}  # which is not the same as an empty list
    app.set_switches(EULAS_SERVICE_ENABLED=True)
    await until(is_on)
    assert [one["eula_id"] for one in (await app.zone_info())["need_acceptance"]] == ["personal_data"]


async def test_without_its_database_eulas_costs_the_rider_tariffs_but_no_errors(app: App) -> None:
    await app.save(sdc="accepted", child_seat_ru="rejected")
    await app.harness.suite.execute("ALTER TABLE eulas.users RENAME TO out_of_reach")
    assert await app.tariffs() == (["econom", "child"], {"self_driving": "eulas_unavailable"})
    assert await app.zone_info() == {}
    await app.harness.suite.execute("ALTER TABLE eulas.out_of_reach RENAME TO users")
    assert await app.tariffs() == (["econom", "self_driving"], {"child": "eula_rejected"})
