"""A process that saves decisions of one user as fast as it can."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta

from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.settings import PoolSettings
from ridehail_servers.eulas.agreements import UserDecisions
from ridehail_servers.eulas.decision import Decision, Status
from ridehail_servers.eulas.store import EulasStore

UID = "racing"
EULA_IDS = [f"eula-{number}" for number in range(6)]
SAVERS = 4


async def race(url: str, seed: int, saves: int) -> None:
    """Saves, several batches at once, by a clock of its own."""
    randomness = random.Random(seed)
    epoch = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=randomness.randint(0, 99))
    database = Database(url, schema="eulas", settings=PoolSettings(max_size=SAVERS), application="racer")
    await database.open()
    decisions = UserDecisions(database, EulasStore())

    async def save_some() -> None:
        for number in range(saves // SAVERS):
            chosen = randomness.sample(EULA_IDS, randomness.randint(1, len(EULA_IDS)))
            now = epoch + timedelta(microseconds=number)
            status = randomness.choice([Status.ACCEPTED, Status.REJECTED])
            revision = seed * 1_000_000 + randomness.randrange(1_000_000)
            batch = [Decision(eula_id, status, revision, now + timedelta(days=1), now) for eula_id in chosen]
            await decisions.save(UID, batch, source=f"racer-{seed}")

    await asyncio.gather(*(save_some() for _ in range(SAVERS)))
    await database.close()
