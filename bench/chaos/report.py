"""What a campaign found, as a Markdown table and as JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True)
class Effort:
    """How much of a campaign is run.

    Attributes:
        at_once: Services whose databases fail at the same time, at most ten. Each gets 130 calls a second on
            average: two idle cores bear three, and are overloaded by eight before anything fails.
        outage_minutes: No outage begins later.
    """

    quick: bool
    at_once: int = 3
    outage_minutes: float = 30.0


@dataclass(frozen=True)
class Finding:
    """One case, or a sum of cases.

    Attributes:
        figures: Measurements by name.
        promise: Empty if the figures are for information.
        kept: Whether the promise was kept, or None if there is none or it could not be tried.
    """

    part: str
    case: str
    figures: Mapping[str, object]
    promise: str = ""
    kept: bool | None = None
    note: str = ""


@dataclass
class ChaosReport:
    """Gathers findings, and keeps `NAME.md` and `NAME.json` up to date: an interrupted campaign leaves them."""

    folder: Path
    name: str = "chaos"
    findings: list[Finding] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)

    def add(
        self,
        part: str,
        case: str,
        figures: Mapping[str, object],
        *,
        promise: str = "",
        kept: bool | None = None,
        note: str = "",
    ) -> None:
        finding = Finding(part, case, figures, promise, kept, note)
        self.findings.append(finding)
        elapsed = time.monotonic() - self._began
        print(f"[{elapsed:6.0f} s] {part}: {case}: {_figures(finding)} {_verdict(finding)} {note}".rstrip(), flush=True)
        self.write()

    @property
    def broken(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.kept is False]

    def write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        content = {"written": datetime.now(UTC).isoformat(), "findings": [asdict(one) for one in self.findings]}
        (self.folder / f"{self.name}.json").write_text(json.dumps(content, indent=1, default=str) + "\n")
        lines = ["| part | case | figures | promise | kept |", "|---|---|---|---|---|"]
        for one in self.findings:
            note = f" ({one.note})" if one.note else ""
            lines.append(f"| {one.part} | {one.case} | {_figures(one)}{note} | {one.promise} | {_verdict(one)} |")
        (self.folder / f"{self.name}.md").write_text("\n".join(lines) + "\n")

    def close(self) -> int:
        """Prints broken promises; returns the exit code, 1 if there are any."""
        print(f"\nwritten: {self.folder / f'{self.name}.md'}")
        for finding in self.broken:
            print(f"BROKEN {finding.part}: {finding.case}: {finding.promise}: {_figures(finding)}", file=sys.stderr)
        return 1 if self.broken else 0


def _figures(finding: Finding) -> str:
    return ", ".join(f"{name} {_shown(value)}" for name, value in finding.figures.items())


def _shown(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _verdict(finding: Finding) -> str:
    return {True: "yes", False: "**NO**", None: ""}[finding.kept]
