"""The metrics of user_data."""

from prometheus_client import Counter, Gauge

JOBS_OPEN = Gauge(
    "ridehail_user_data_open_jobs",
    "Exports and erasures that go on, by kind.",
    ("kind",),
    multiprocess_mode="livemostrecent",
)
JOBS_OLDEST = Gauge(
    "ridehail_user_data_oldest_open_job_seconds",
    "For how long the oldest open export or erasure has been going on, by kind; 0 without any.",
    ("kind",),
    multiprocess_mode="livemostrecent",
)
ERASED = Counter(
    "ridehail_user_data_erased_records", "Erased records of users, by service and kind.", ("destination", "kind")
)
FAILURES = Counter(
    "ridehail_user_data_failures",
    "Failed calls of services by exports and erasures, by the reason.",
    ("destination", "reason"),
)
JOBS_ENDED = Counter(
    "ridehail_user_data_ended_jobs", "Exports and erasures that ended, by kind and result.", ("kind", "result")
)
