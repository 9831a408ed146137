"""Prometheus metrics of every server.

The names of the gRPC metrics follow OpenTelemetry's, in Prometheus' spelling. Nothing personal is ever a label.
Several processes share one port: each writes its figures to files in `PROMETHEUS_MULTIPROC_DIR`, the supervisor sums
them up (https://prometheus.github.io/client_python/multiprocess/).
"""

from prometheus_client import Counter, Gauge, Histogram

LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

RPC_DURATION = Histogram(
    "grpc_server_call_duration_seconds",
    "Time from the arrival of a call to its answer.",
    ("service", "grpc_method", "grpc_status"),
    buckets=LATENCY_BUCKETS,
)
RPC_ERRORS = Counter(
    "ridehail_rpc_errors",
    "Calls that were answered with an error, by its reason.",
    ("service", "grpc_method", "reason"),
)
READY = Gauge(
    "ridehail_ready",
    "1 while a process takes calls or tasks: it has reached its databases, and does not drain. Not exported.",
    multiprocess_mode="livemin",
)
RPC_IN_FLIGHT = Gauge("ridehail_rpc_in_flight", "Calls under way.", multiprocess_mode="livesum")
ADMISSION_CALLS = Gauge(
    "ridehail_admission_calls",
    "Calls that go on (running) and that wait until there is room (waiting).",
    ("service", "state"),
    multiprocess_mode="livesum",
)
ADMISSION_LIMIT = Gauge(
    "ridehail_admission_limit",
    "Calls that may hold or wait for a database connection at once, by how long connections are held now.",
    ("service",),
    multiprocess_mode="livesum",
)
CALLS_REFUSED = Counter("ridehail_calls_refused", "Calls that were refused as OVERLOADED.", ("service", "cause"))
TASK_DURATION = Histogram(
    "ridehail_task_duration_seconds",
    "Time from the start of a background task to its end.",
    ("service", "task", "outcome"),
    buckets=LATENCY_BUCKETS,
)
TASK_LAST_SUCCESS = Gauge(
    "ridehail_task_last_success_timestamp_seconds",
    "When a scheduled task last ended well, or since when its workers have waited for it.",
    ("service", "task"),
    multiprocess_mode="max",
)
TASK_PERIOD = Gauge(
    "ridehail_task_period_seconds",
    "How often a scheduled task is due.",
    ("service", "task"),
    multiprocess_mode="livemax",
)
TASKS_RESCUED = Counter("ridehail_tasks_rescued", "Tasks of dead workers that were given to living ones.", ("service",))
TASKS_WAITING = Gauge(
    "ridehail_tasks_waiting",
    "Background tasks that are due and wait for a worker.",
    ("service", "task"),
    multiprocess_mode="livemax",
)
TASKS_OLDEST = Gauge(
    "ridehail_tasks_oldest_waiting_seconds",
    "For how long the oldest of them has been due.",
    ("service", "task"),
    multiprocess_mode="livemax",
)
POOL_CONNECTIONS = Gauge(
    "ridehail_database_pool_connections", "Connections to Postgres.", ("service", "state"), multiprocess_mode="livesum"
)
POOL_WAITING = Gauge(
    "ridehail_database_pool_waiting", "Calls that wait for a connection.", ("service",), multiprocess_mode="livesum"
)
DATABASE_UNREACHABLE = Gauge(
    "ridehail_database_unreachable",
    "1 while a process has no connection to Postgres and can make none.",
    ("service",),
    multiprocess_mode="livemax",
)
CONNECTIONS_RECLAIMED = Counter(
    "ridehail_database_connections_reclaimed",
    "Connections that tasks had not given back when they ended.",
    ("service",),
)
CACHE_FAILURES = Counter(
    "ridehail_cache_failures", "Operations of the shared cache that failed.", ("operation", "reason")
)
BREAKERS_OPEN = Gauge(
    "ridehail_breakers_open",
    "Processes that make no calls to a method of a dependency at present, because it does not answer.",
    ("service", "dependency", "grpc_method"),
    multiprocess_mode="livesum",
)
CONFIG_INVALID = Gauge(
    "ridehail_config_invalid",
    "1 while the last edit of a configuration file is refused.",
    ("file",),
    multiprocess_mode="livemax",
)
LOOP_FAILURES = Counter(
    "ridehail_background_loop_failures", "Failures of a background loop, which goes on after each.", ("loop",)
)
LOOP_DELAY = Histogram(
    "ridehail_event_loop_delay_seconds",
    "How late a process' event loop does what is due, four times a second.",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)
PROCESSES = Gauge(
    "ridehail_processes",
    "Processes that serve a service (serve) or run its background tasks (work).",
    ("service", "role"),
    multiprocess_mode="livesum",
)
BUILD_INFO = Gauge(
    "ridehail_build_info",
    "1 for what a process runs: version, commit where it is known, Python's version, and the transport of calls.",
    ("version", "commit", "python", "transport"),
    multiprocess_mode="livemax",
)
