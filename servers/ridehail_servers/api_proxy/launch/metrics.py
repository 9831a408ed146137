"""Metrics of launch."""

from __future__ import annotations

from prometheus_client import Counter

FAILURES = Counter(
    "ridehail_api_proxy_launch_failures",
    "Calls to a neighbour that failed, by the service whose orders they were about (all: the whole response of"
    " order_state) and by the reason.",
    ("neighbour", "orders_of", "reason"),
)
WITHOUT_ORDER_STATE = Counter(
    "ridehail_api_proxy_launches_without_order_state",
    "Launches that order_state did not answer for, by what the rider got (left_out, fallback) and the reason.",
    ("outcome", "reason"),
)
