"""Metrics of the card of a ride."""

from __future__ import annotations

from prometheus_client import Counter

LEFT_OUT = Counter(
    "ridehail_api_proxy_card_left_out",
    "Parts of rides' cards that were left out, by the service that did not return them and the reason.",
    ("neighbour", "reason"),
)
TOGGLES = Counter("ridehail_api_proxy_card_toggles", "Toggles that riders have moved, by the outcome.", ("outcome",))
PROMOS_LOOKED_UP = Counter(
    "ridehail_api_proxy_card_promos_lookups", "Cards whose banners were cached (hit) or not (miss).", ("result",)
)
