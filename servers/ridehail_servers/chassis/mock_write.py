"""Dry runs of writes: done for their response only, and rolled back."""

from __future__ import annotations

from collections.abc import Iterable

from ridehail_kernel.metadata_keys import MOCK_WRITE_KEY


def is_mock_write(metadata: Iterable[tuple[str, str | bytes]] | None) -> bool:
    """Returns whether a caller asks for a write that leaves nothing behind."""
    return any(key == MOCK_WRITE_KEY and value for key, value in metadata or ())
