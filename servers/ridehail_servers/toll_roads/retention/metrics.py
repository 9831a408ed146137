"""The metrics of the scheduled jobs."""

from prometheus_client import Counter, Gauge

RETENTION_ROWS = Counter(
    "ridehail_toll_roads_retention_rows",
    "Old rows, by the step of a retention job that met them and by what became of them.",
    ("step", "outcome"),
)
RETENTION_LAST_SUCCESS = Gauge(
    "ridehail_toll_roads_retention_last_success_timestamp_seconds",
    "When a retention job last ended well.",
    ("job",),
    multiprocess_mode="max",
)
