"""Metrics of family."""

from prometheus_client import Counter, Gauge, Histogram

PUBLICATION_DELAY = Histogram(
    "ridehail_family_publication_delay_seconds",
    "Time from a change of a family until route-sharing has confirmed it.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0),
)
UNPUBLISHED_FAMILIES = Gauge(
    "ridehail_family_unpublished_families",
    "Families with changes that route-sharing has not confirmed within 5 s; at most 500 are counted.",
    multiprocess_mode="livemax",
)
UNPUBLISHED_OLDEST = Gauge(
    "ridehail_family_unpublished_oldest_seconds",
    "For how long the oldest of them has been waiting.",
    multiprocess_mode="livemax",
)
INVITATIONS = Counter(
    "ridehail_family_invitations", "Invitations that were sent, accepted, declined and revoked.", ("event",)
)
for _event in ("sent", "accepted", "declined", "revoked"):
    INVITATIONS.labels(_event)
