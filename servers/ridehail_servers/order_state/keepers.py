"""Which services keep orders. A new one is one line, and its contract served under the name given here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TAXI = "taxi"

KEEPERS: Mapping[str, str] = MappingProxyType(
    {
        TAXI: "order-core",
        "eats": "eats-orders",
        "grocery": "grocery-orders",
    }
)
"""Service, as apps know it -> the server that keeps its orders, in the order of answers."""
