"""A small catalogue of agreements, and a suite that serves it by a clock that the test sets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import yaml

from tests.eulas.users import User
from tests.support.config_edits import edit
from tests.support.suite_in_process import SuiteInProcess, suite_in_process
from tests.support.waiting import until

T0 = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)
ZONES = {"tel_aviv": "isr", "haifa": "isr", "moscow": "rus"}
_ANCHORAGE = "anchorage"

Configured = list[dict[str, Any]]


def agreement(eula_id: str, eula_type: str, **fields: Any) -> dict[str, Any]:
    """Returns an entry of EULAS whose decisions count for a day."""
    return {
        "eula_id": eula_id,
        "type": eula_type,
        "revision": 1,
        "ttl_s": 86_400,
        "rejectable": True,
        "title": {"en": f"{eula_id} in English"},
        **fields,
    }


EULAS = [
    agreement("surge_il", "surge", countries=["isr"], text={"en": "Text"}, url="https://example.com/surge"),
    agreement("surge_haifa", "surge", zones=["haifa"]),
    agreement("sdc", "sdc", zones=["moscow"], tariffs=["self_driving"], title={"en": "Cars", "ru": "Машины"}),
    agreement("rules", "rules", rejectable=False, ttl_s=3600),
]
REQUIREMENTS = {
    "tel_aviv": {"econom": {"eula_type": "surge", "is_eula_required": True, "eula_statuses": ["accepted"]}},
    "moscow": {"taxi": {"eula_type": "sdc", "is_eula_required": False, "eula_statuses": ["accepted"]}},
}


@dataclass
class Harness:
    """A running suite, its clock and its configuration."""

    suite: SuiteInProcess
    channel: grpc.aio.Channel
    clock: list[datetime]
    version: int = 0
    configured: bool = False

    def user(self, uid: str, caller: str = "admin") -> User:
        return User(self.suite, self.channel, uid, caller, clock=lambda: self.clock[0])

    async def reset(self) -> None:
        """Deletes all decisions, and resets clock and configuration."""
        await self.suite.empty_tables()
        self.clock[0] = T0
        if self.configured:
            await self.configure(EULAS)
            self.configured = False

    def pass_time(self, time: timedelta) -> None:
        self.clock[0] += time

    async def configure(self, eulas: Configured, zones: dict[str, str] | None = None) -> None:
        """Writes `eulas.yaml`, and returns when it is in force."""
        self.version += 1
        self.configured = True
        write_eulas(self.suite.settings.config_dir, eulas, zones, version=self.version)

        async def is_in_force() -> bool:
            shown = await self.user("anchor").shown("unknown", _ANCHORAGE)
            return any(eula.title == f"version {self.version}" for eula in shown)

        await until(is_in_force)


def write_eulas(
    config_dir: Path, eulas: Configured, zones: dict[str, str] | None = None, *, version: int = 0, **settings: Any
) -> None:
    """Writes `eulas.yaml` at once; an agreement of an unused zone has its version."""
    anchor = agreement("anchor", "anchor", zones=[_ANCHORAGE], title={"en": f"version {version}"})
    content = {
        "ZONES": {**(ZONES if zones is None else zones), _ANCHORAGE: "nowhere"},
        "EULAS": [*eulas, anchor],
        **settings,
    }
    fresh = config_dir / ".eulas.yaml.new"
    fresh.write_text(yaml.safe_dump(content, allow_unicode=True))
    fresh.replace(config_dir / "eulas.yaml")


@asynccontextmanager
async def harness(*, database_url: str, keys_dir: Path, config_dir: Path, **settings: Any) -> AsyncIterator[Harness]:
    """Runs eulas with the small catalogue for the length of the block; `settings` are those of `eulas.yaml`."""
    write_eulas(config_dir, EULAS, **settings)
    edit(config_dir / "api_proxy.yaml", {"ROUTESTATS_EULA_REQUIREMENTS_FOR_CATEGORIES_IN_ZONE": None})
    edit(config_dir / "api_proxy.yaml", {"ROUTESTATS_EULA_REQUIREMENTS_FOR_CATEGORIES_IN_ZONE": REQUIREMENTS})
    clock = [T0]
    async with (
        suite_in_process(
            database_url=database_url,
            keys_dir=keys_dir,
            config_dir=config_dir,
            services=("eulas",),
            clock=lambda: clock[0],
        ) as suite,
        suite.channel() as channel,
    ):
        yield Harness(suite, channel, clock)
