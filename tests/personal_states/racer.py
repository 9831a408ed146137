"""A process that changes one user's state: `python -m tests.personal_states.racer BACK_END URL NAME WINS`.

Prints `won REVISION` for each change, and `lost EXPECTED CURRENT` for each conflict.
"""

from __future__ import annotations

import asyncio
import sys

from ridehail_servers.chassis.clock import system_clock
from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.settings import PoolSettings
from ridehail_servers.personal_states.errors import RevisionConflict
from ridehail_servers.personal_states.state import Change
from ridehail_servers.reference.protocol.store import DocumentStore
from ridehail_servers.reference.protocol.users import Users
from ridehail_servers.user_state.personal_states import PersonalStates
from ridehail_servers.user_state.store import StateStore

UID = "racing"
WRITERS = 3


async def race(back_end: str, url: str, name: str, wins: int) -> None:
    """Changes, several writers at once, each going on from what it saw last."""
    database = Database(
        url, schema=back_end.replace("-", "_"), settings=PoolSettings(max_size=WRITERS), application="racer"
    )
    await database.open()
    states: PersonalStates | Users = (
        PersonalStates(database, StateStore(), system_clock)
        if back_end == "user-state"
        else Users(database, DocumentStore(), system_clock)
    )

    async def change_some(writer: int) -> None:
        won, seen = 0, 0
        while won < wins:
            category = f"{name}-{writer}"
            change = Change(str(seen), category, {category: {"wins": won + 1}})
            try:
                state = await states.update(UID, change, undone=False)
            except RevisionConflict as conflict:
                current = int(conflict.metadata["current_revision_id"])
                tell(f"lost {seen} {current}")
                seen = current
                continue
            won, seen = won + 1, state.revision
            tell(f"won {state.revision}")

    await asyncio.gather(*(change_some(writer) for writer in range(WRITERS)))
    await database.close()


def tell(line: str) -> None:
    """Prints a line."""
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    asyncio.run(race(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
