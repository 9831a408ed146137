"""What a process does that changes one user's state, as fast as it can."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ridehail_servers.chassis.clock import system_clock
from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.settings import PoolSettings
from ridehail_servers.personal_state_backend.errors import RevisionConflict
from ridehail_servers.personal_state_backend.state import StateChange
from ridehail_servers.reference.protocol.store import DocumentStore
from ridehail_servers.reference.protocol.stored_documents import StoredDocuments
from ridehail_servers.user_state.store import StateStore
from ridehail_servers.user_state.stored_states import StoredStates

UID = "racing"
WRITERS = 3


async def race(back_end: str, url: str, name: str, wins: int, output: Path) -> None:
    """Updates one state by several concurrent writers, each starting from the revision that it saw last.

    Writes a line `won REVISION` for each update, and `lost EXPECTED CURRENT` for each conflict.
    """
    lines: list[str] = []
    database = Database(
        url, schema=back_end.replace("-", "_"), settings=PoolSettings(max_size=WRITERS), application="racer"
    )
    await database.open()
    states: StoredStates | StoredDocuments = (
        StoredStates(database, StateStore(), system_clock)
        if back_end == "user-state"
        else StoredDocuments(database, DocumentStore(), system_clock)
    )

    async def change_some(writer: int) -> None:
        won, seen = 0, 0
        while won < wins:
            category = f"{name}-{writer}"
            change = StateChange(str(seen), category, {category: {"wins": won + 1}})
            try:
                state = await states.update(UID, change, dry_run=False)
            except RevisionConflict as conflict:
                current = int(conflict.metadata["current_revision_id"])
                lines.append(f"lost {seen} {current}")
                seen = current
                continue
            won, seen = won + 1, state.revision
            lines.append(f"won {state.revision}")

    await asyncio.gather(*(change_some(writer) for writer in range(WRITERS)))
    await database.close()
    output.write_text("\n".join(lines))
