"""Where the rows of each table go, as `deploy/citus/tables.yaml` says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import yaml

FOLDER = Path(__file__).parents[2] / "deploy" / "citus"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a table's rows go.

    Attributes:
        kind: Distributed by a key, whole on each node, or whole on one.
        key: The column; empty if it is not distributed.
        because: Why it is not distributed; empty if it is.
    """

    kind: Literal["distributed", "reference", "local"]
    key: str = ""
    because: str = ""


@cache
def placements() -> Mapping[tuple[str, str], Placement]:
    """Returns the placement of every table but those of the queues: (schema, table) -> placement."""
    stated = yaml.safe_load((FOLDER / "tables.yaml").read_text())
    return {(schema, table): _placement(entry) for schema, tables in stated.items() for table, entry in tables.items()}


def _placement(entry: str | dict[Literal["reference", "local"], str]) -> Placement:
    if isinstance(entry, str):
        return Placement("distributed", key=entry)
    ((kind, because),) = entry.items()
    return Placement(kind, because=because)
