"""Decides what is kept of the parts that apps could not put together: counts, and shapes of JSON without any value.

What is counted has only names of the configuration, so metrics and tables stay small whatever apps send. A name of a
member may be somebody's (a phone, an account): samples show the names that the configuration knows, and no other.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from .orders import PROVIDERS
from .polling_policy import PollingPolicy

OTHER: Final = "other"
"""Stands for a service or a part that the configuration does not know."""

_ROOT, _ITEM, _NAME = "$", "$item", "$name"
_MAX_DEPTH: Final = 8
_ID_BYTES: Final = 16


class Incident(NamedTuple):
    """What is counted together."""

    service: str
    part_name: str
    problem: str


Shape = tuple[tuple[str, str], ...]
"""Paths of a part's JSON and the types there, sorted."""


@dataclass(frozen=True, slots=True)
class ReportedPart:
    """Invalid parts of one name, as an app reports them. Nothing of it is trusted.

    Attributes:
        shape: Paths of names joined by dots, and the type there; empty if unknown.
    """

    service: str
    part_name: str
    problem: str
    count: int
    shape: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class ShapeSample:
    """A shape that invalid parts had.

    Attributes:
        shape_id: Equal for equal shapes.
        count: How often it was reported since the first time.
    """

    incident: Incident
    shape_id: str
    shape: Shape
    count: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True, eq=False)
class InvalidPartCounts:
    """What is kept of one report or several.

    Attributes:
        incidents: How many parts were invalid.
        shapes: How many had each shape, for the parts whose shape is known.
    """

    incidents: Counter[Incident] = field(default_factory=Counter)
    shapes: Counter[tuple[Incident, Shape]] = field(default_factory=Counter)


def counts_of(parts: Iterable[ReportedPart], policy: PollingPolicy, names: AbstractSet[str]) -> InvalidPartCounts:
    """Returns what is kept of a report.

    Args:
        parts: The report.
        policy: Names the parts that are told apart, and the fields whose names are shown.
        names: Further names of members that are shown.
    """
    counts = InvalidPartCounts()
    for part in parts:
        incident = _incident(part, policy)
        counts.incidents[incident] += part.count
        if part.shape:
            shown = policy.names_of_fields(part.service, part.part_name) | names
            counts.shapes[incident, _shown(part.shape, shown)] += part.count
    return counts


def merged(reports: Iterable[InvalidPartCounts]) -> InvalidPartCounts:
    """Returns what is kept of several reports."""
    total = InvalidPartCounts()
    for one in reports:
        total.incidents.update(one.incidents)
        total.shapes.update(one.shapes)
    return total


def shape_id(shape: Shape) -> str:
    return hashlib.blake2b(json.dumps(shape).encode(), digest_size=_ID_BYTES).hexdigest()


def _incident(part: ReportedPart, policy: PollingPolicy) -> Incident:
    service = part.service if part.service in PROVIDERS else OTHER
    part_name = part.part_name if part.part_name in policy.part_names(part.service) else OTHER
    return Incident(service, part_name, part.problem)


def _shown(shape: Iterable[tuple[str, str]], names: AbstractSet[str]) -> Shape:
    return tuple(sorted({(_shown_path(path, names), type_name) for path, type_name in shape}))


def _shown_path(path: str, names: AbstractSet[str]) -> str:
    """Returns a path with a placeholder for each name that is not known; what is deep inside is at its outer place."""
    inner = path.split(".")[1 : _MAX_DEPTH + 1]
    return ".".join((_ROOT, *(name if name == _ITEM or name in names else _NAME for name in inner)))
