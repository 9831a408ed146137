"""What the gateway counts of callers."""

from __future__ import annotations

from typing import Final

# The latest callers, whose buckets are kept; a forgotten caller starts again with a full one.
TRACKED_CALLERS: Final = 20_000
# Of bodies as large as this each byte counts; smaller ones cost little more than the request itself, which counts too.
COUNTED_BODY_BYTES: Final = 4 * 1024
