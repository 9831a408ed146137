"""The catalogue of reasons, from proto/ridehail/common/v1/error_reason.proto."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.rpc.code_pb2 import Code

from ridehail.common.v1 import options_pb2
from ridehail.common.v1.error_reason_pb2 import ErrorReason

_FILE = Path(__file__).parents[2] / "proto/ridehail/common/v1/error_reason.proto"
_SAMPLE = re.compile(r"//     (\{(?:[^\n]*\n  //)*[^\n]*\})\n  ERROR_REASON_([A-Z_]+) =")


@dataclass(frozen=True)
class CatalogueEntry:
    reason: str
    code: str
    http_status: int
    metadata_keys: frozenset[str]


def catalogue() -> dict[str, CatalogueEntry]:
    entries = {}
    for value in ErrorReason.DESCRIPTOR.values:
        if value.number:
            reason = value.name.removeprefix("ERROR_REASON_")
            contract = value.GetOptions().Extensions[options_pb2.error]
            keys = frozenset(contract.metadata_keys)
            entries[reason] = CatalogueEntry(reason, Code.Name(contract.code), contract.http_status, keys)
    return entries


def samples() -> dict[str, dict[str, Any]]:
    """Returns the ErrorInfo in the comment of each reason."""
    return {reason: json.loads(text.replace("//", "")) for text, reason in _SAMPLE.findall(_FILE.read_text())}
