"""Metrics of route_sharing."""

from prometheus_client import Counter

FAMILIES_PUT = Counter(
    "ridehail_route_sharing_families_put",
    "Families that family has published, by whether they were stored or as new as what was known (older).",
    ("outcome",),
)
for _outcome in ("stored", "older"):
    FAMILIES_PUT.labels(_outcome)
