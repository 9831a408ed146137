"""Metrics of the calls to eulas, those of launch included."""

from __future__ import annotations

from prometheus_client import Counter

FAILURES = Counter("ridehail_api_proxy_eulas_failures", "Calls to eulas that failed, by the reason.", ("reason",))
