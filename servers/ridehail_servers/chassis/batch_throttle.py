"""How much of the database's time a job may take."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

# A batch that took long, because an archive is slow, say, was no strain for the database.
_MAX_PAUSE_S = 2.0


@dataclass(frozen=True, slots=True)
class BatchThrottle:
    """Limits how much of the database's time a job takes, for callers wait meanwhile.

    Attributes:
        batch_size: Rows of one transaction.
        rest_factor: How long the job pauses after a batch, in multiples of the time that the batch took.
    """

    batch_size: int
    rest_factor: float

    @asynccontextmanager
    async def batch(self) -> AsyncIterator[None]:
        """Measures the block, which processes one batch, and pauses after it."""
        began = time.monotonic()
        yield
        await asyncio.sleep(min((time.monotonic() - began) * self.rest_factor, _MAX_PAUSE_S))
