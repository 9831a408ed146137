"""How fast old rows are dealt with: in small batches with rests between them, for callers wait meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

# A batch that took long, because the archive is slow, say, was no strain for the database.
_LONGEST_REST_S = 2.0


@dataclass(frozen=True, slots=True)
class Pace:
    """The pace of a job.

    Attributes:
        batch_size: Rows of one transaction, and of one commit to the archive.
        rest_factor: How long the job rests after a batch, in multiples of the time that the batch took; two seconds at
            most.
    """

    batch_size: int
    rest_factor: float

    @asynccontextmanager
    async def batch(self) -> AsyncIterator[None]:
        """Measures the block, which deals with one batch, and rests after it."""
        began = time.monotonic()
        yield
        await asyncio.sleep(min((time.monotonic() - began) * self.rest_factor, _LONGEST_REST_S))
