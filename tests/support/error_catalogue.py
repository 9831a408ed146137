"""The catalogue of reasons, as proto/ridehail/common/v1/error_reason.proto tells it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

_FILE = Path(__file__).parents[2] / "proto/ridehail/common/v1/error_reason.proto"
_ENTRY = re.compile(r"((?:  //[^\n]*\n)+)  ERROR_REASON_([A-Z_]+) = (\d+);")


@dataclass(frozen=True)
class CatalogueEntry:
    """What a reason promises."""

    reason: str
    code: str
    metadata_keys: frozenset[str]


def catalogue() -> dict[str, CatalogueEntry]:
    """Returns every reason that is ever sent."""
    entries = {}
    for comment, reason, number in _ENTRY.findall(_FILE.read_text()):
        if number == "0":
            continue
        text = " ".join(line.removeprefix("  //").strip() for line in comment.splitlines())
        code = re.match(r" ?([A-Z_]+)[.,]", text)
        sample = json.loads(text[text.index("{") :])
        assert code, reason
        assert sample["reason"] == reason
        assert sample["domain"] == "ridehail"
        entries[reason] = CatalogueEntry(reason, code[1], frozenset(sample["metadata"]))
    return entries
