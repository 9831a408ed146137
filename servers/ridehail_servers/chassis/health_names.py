"""Names in health checks, apart from what serves them: a probe must not load that."""

from __future__ import annotations

from typing import Final

LIVENESS: Final = "liveness"
REASON_KEY: Final = "x-ridehail-reason"
"""Trailing metadata of `Check`: why the status is NOT_SERVING."""
