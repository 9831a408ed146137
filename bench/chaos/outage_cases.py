"""What outages did to services, case by case and in sum."""

from __future__ import annotations

import csv
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.open_loop import Event, quantile

from .client_load import TimedCall
from .report import ChaosReport

RECOVERY_S = 2.0
"""Within this time of the database's return a service has to be back."""

ALL = "all kinds"
"""Stands for the sum of all kinds."""

_CONSECUTIVE = 5


@dataclass(frozen=True)
class OutageCase:
    """One outage of one service.

    Attributes:
        rate: Calls a second.
        recovery_s: From healing to the first of five good calls in a row, or infinite.
        dead: Whether there were none within 60 more calls either.
        failed_after: Calls that failed after the recovery.
        calls_after: Calls after the recovery.
    """

    kind: str
    duration_s: float
    service: str
    rate: int
    recovery_s: float
    dead: bool
    failed_after: int
    calls_after: int

    @property
    def is_late(self) -> bool:
        return self.recovery_s > RECOVERY_S


def recovered(events: Sequence[Event] | Sequence[TimedCall], healed: float) -> float | None:
    """Returns when the first of five good calls in a row was sent, or None.

    Args:
        events: Of one service, in the order in which they were sent.
        healed: When the database could be reached again, in Unix seconds.
    """
    row: list[Event | TimedCall] = []
    for event in events:
        if event.sent < healed:
            continue
        row = [*row, event] if event.is_good else []
        if len(row) == _CONSECUTIVE:
            return row[0].sent
    return None


def summarize(
    report: ChaosReport, part: str, cases: Sequence[OutageCase], failures: Mapping[str, Counter[str]]
) -> None:
    """Reports the cases, by kind and in all.

    Args:
        report: Gets the findings.
        part: Of the campaign.
        cases: At least one.
        failures: Kind -> failures during its outages; `ALL` -> failures when the services should have been back.
    """
    by_kind: dict[str, list[OutageCase]] = defaultdict(list)
    for case in cases:
        by_kind[case.kind].append(case)
    for kind, those in [*by_kind.items(), (ALL, cases)]:
        times = [case.recovery_s for case in those]
        late = sum(case.is_late for case in those)
        failed, calls = sum(case.failed_after for case in those), sum(case.calls_after for case in those)
        figures = {
            "outages": len(those),
            "dead": sum(case.dead for case in those),
            "recovery p50 s": quantile(times, 0.5),
            "p99 s": quantile(times, 0.99),
            "max s": max(times),
            f"later than {RECOVERY_S:.0f} s": late,
            "failed after recovery": f"{failed}/{calls}",
        }
        causes = ", ".join(f"{name} {count}" for name, count in failures.get(kind, Counter()).most_common(4))
        promise = f"0 dead, all back within {RECOVERY_S:.0f} s of healing"
        when = "when the services should have been back" if kind == ALL else "during the outages"
        note = f"failures {when}: {causes}" if causes else ""
        report.add(part, kind, figures, promise=promise, kept=late == 0, note=note)


def write_cases(cases: Sequence[OutageCase], file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as output:
        writer = csv.DictWriter(output, list(OutageCase.__dataclass_fields__))
        writer.writeheader()
        writer.writerows(asdict(case) for case in cases)


def case_of(kind: str, duration_s: float, load: tuple[str, int], healed: float, events: Sequence[Event]) -> OutageCase:
    """Returns what an outage did to a service, as far as these events show; for the arguments see `recovered`."""
    back = recovered(events, healed)
    after = [event for event in events if back is not None and event.sent >= back]
    return OutageCase(
        kind,
        duration_s,
        *load,
        recovery_s=math.inf if back is None else back - healed,
        dead=back is None,
        failed_after=sum(not event.is_good for event in after),
        calls_after=len(after),
    )
