"""The connections of the FastAPI servers."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg  # type: ignore[import-untyped]  # it has no type information
from fastapi import FastAPI
from psycopg import conninfo


@asynccontextmanager
async def pooled(application: FastAPI) -> AsyncIterator[None]:
    """Gives an application as many connections to BENCH_DATABASE_URL as our servers have: `app.state.pool`."""
    address = conninfo.conninfo_to_dict(os.environ["BENCH_DATABASE_URL"])
    async with asyncpg.create_pool(
        host=address["host"], user=address["user"], database=address["dbname"], min_size=8, max_size=8
    ) as pool:
        application.state.pool = pool
        yield
