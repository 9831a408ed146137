"""What an on-call engineer dreads, as metrics: a suite in which everything that alerts are for happens at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ridehail_servers import suite

TOLL, ORDER_STATE, EULAS = "toll-roads", "order-state", "eulas"
SAVE = "ridehail.tollroads.v1.TollRoadsService/SaveOffer"
ENQUEUE = "ridehail.tollroads.v1.TollRoadsService/EnqueueOrderSave"
RETRIEVE = "ridehail.tollroads.v1.TollRoadsService/RetrieveOrder"
SWITCH = "ridehail.tollroads.v1.PassengerTollRoadsService/SwitchRoad"
CHECK = "ridehail.eulas.v1.EulasService/CheckEulas"
POLL = "ridehail.orderstate.v1.PassengerOrderStateService/PollOrdersState"
# Nothing runs the first, and nothing works off the tasks of the second.
ABSENT, WITHOUT_WORKERS = "grocery-orders", "family"
HEALTHY = "user-state"
# Calls of RetrieveOrder come for so long, then none for as long, and so on: whenever a slow machine looks, they stopped
# not long ago.
STEADY_S = 14.0


def metrics(job: str, since_start: float) -> Iterator[str]:
    """Yields the lines of a job's `/metrics`, given the seconds since the suite is watched."""
    name = job.removeprefix("ridehail-").removesuffix("-worker")
    role = "work" if job.endswith("-worker") else "serve"
    if job == "ridehail-gateway":
        yield from _gateway(since_start)
        return
    if name == ABSENT:
        yield "something_else 1"  # another program has the port
        return
    yield 'ridehail_build_info{version="1",commit="",python="3.11",transport="native"} 1'
    if (name, role) != (WITHOUT_WORKERS, "work"):
        yield f'ridehail_processes{{service="{name}",role="{role}"}} 1'
    if job == "ridehail-toll-roads":
        yield from _calls(since_start)
        yield from _process(since_start)
    if job == "ridehail-toll-roads-worker":
        yield from _tasks(since_start)
    if job == "ridehail-order-state":
        yield from _own(since_start)


def _counted(service: str, method: str, status: str, number: float, edges: dict[str, float]) -> Iterator[str]:
    labels = f'service="{service}",grpc_method="{method}",grpc_status="{status}"'
    for edge, below in edges.items():
        yield f'grpc_server_call_duration_seconds_bucket{{{labels},le="{edge}"}} {below}'
    yield f"grpc_server_call_duration_seconds_count{{{labels}}} {number}"


def _calls(at: float) -> Iterator[str]:
    yield from _counted(TOLL, SAVE, "UNAVAILABLE", 50 * at, {})
    yield from _counted(TOLL, SAVE, "OK", 50 * at, {"0.1": 50 * at})
    yield from _counted(TOLL, ENQUEUE, "OK", 50 * at, {"0.5": 50 * at})
    stopping = 50 * (at // (2 * STEADY_S) * STEADY_S + min(at % (2 * STEADY_S), STEADY_S))
    yield from _counted(TOLL, RETRIEVE, "OK", stopping, {"0.1": stopping})
    yield from _counted(EULAS, CHECK, "OK", 50 * at, {"0.1": 10 * at})
    yield from _counted(ORDER_STATE, POLL, "OK", 50 * at, {"1.0": 50 * at})
    errors = "ridehail_rpc_errors_total"
    yield f'{errors}{{service="{ORDER_STATE}",grpc_method="{POLL}",reason="OVERLOADED"}} {5 * at}'
    yield f'{errors}{{service="{ORDER_STATE}",grpc_method="{POLL}",reason="TICKET_EXPIRED"}} {10 * at}'


def _process(at: float) -> Iterator[str]:
    yield 'ridehail_build_info{version="2",commit="",python="3.11",transport="native"} 1'
    yield f'process_start_time_seconds{{process="serve-1"}} {int(at)}'
    yield f'process_cpu_seconds_total{{process="serve-1"}} {at}'
    yield 'process_open_fds{process="serve-1"} 900'
    yield 'process_max_fds{process="serve-1"} 1000'
    yield "ridehail_rpc_in_flight 450"
    for edge, below in (("0.1", 2 * at), ("0.25", 4 * at), ("+Inf", 4 * at)):
        yield f'ridehail_event_loop_delay_seconds_bucket{{le="{edge}"}} {below}'
    yield 'ridehail_config_invalid{file="access.yaml"} 1'
    yield f'ridehail_background_loop_failures_total{{loop="reload of files"}} {at}'
    yield "ridehail_metrics_files_skipped_total 1"
    yield f'ridehail_database_unreachable{{service="{TOLL}"}} 1'
    yield f'ridehail_database_connections_reclaimed_total{{service="{TOLL}"}} {at}'
    yield f'ridehail_database_pool_waiting{{service="{TOLL}"}} 40'
    yield f'ridehail_database_pool_connections{{service="{TOLL}",state="idle"}} 0'
    yield f'ridehail_breakers_open{{service="{TOLL}",dependency="order-core",grpc_method="a.B/C"}} 1'
    yield f'ridehail_cache_failures_total{{operation="get",reason="timeout"}} {at}'


def _tasks(at: float) -> Iterator[str]:
    now = time.time()
    for outcome, number in (("failed", 2 * at), ("refused", 2 * at), ("done", 2 * at)):
        of = f'service="{EULAS}",task="eulas_mark_resign",outcome="{outcome}"'
        yield f"ridehail_task_duration_seconds_count{{{of}}} {number}"
    yield f'ridehail_tasks_rescued_total{{service="{TOLL}"}} {at}'
    yield f'ridehail_tasks_oldest_waiting_seconds{{service="{TOLL}",task="toll_roads_order_save"}} 2000'
    yield f'ridehail_task_period_seconds{{service="{EULAS}",task="eulas_purge"}} 3600'
    success = "ridehail_task_last_success_timestamp_seconds"
    yield f'{success}{{service="{EULAS}",task="eulas_purge"}} {now - 20_000}'
    retention = "ridehail_toll_roads_retention"
    yield f'{retention}_last_success_timestamp_seconds{{job="archive"}} {now - 20_000}'
    yield f'{retention}_rows_total{{step="purge_orders",outcome="kept"}} {500 * 2 ** (at / 10)}'


def _own(at: float) -> Iterator[str]:
    yield f'ridehail_order_state_polls_total{{kind="plain"}} {50 * at}'
    part = 'provider="taxi",part_name="info",problem="missing"'
    yield f"ridehail_order_state_invalid_parts_total{{{part}}} {20 * at}"
    yield f'ridehail_order_state_foreign_reports_total{{outcome="refuse",caller="eats-orders",provider="taxi"}} {at}'
    yield f"ridehail_eulas_catalogue_confirmed_timestamp_seconds {time.time() - 1000}"
    yield "ridehail_eulas_catalogue_refused 1"
    yield "ridehail_eulas_texts_missing 1"
    yield "ridehail_family_unpublished_oldest_seconds 500"
    yield 'ridehail_user_data_oldest_open_job_seconds{kind="erasure"} 400000'


def _gateway(at: float) -> Iterator[str]:
    """Yields what an Envoy reports of which nobody knows whether it lives."""
    listener = 'envoy_http_conn_manager_prefix="public"'
    yield f'envoy_http_downstream_rq_xx{{{listener},envoy_response_code_class="5"}} {10 * at}'
    yield f"envoy_http_downstream_rq_completed{{{listener}}} {100 * at}"
    yield 'envoy_cluster_membership_healthy{envoy_cluster_name="eulas"} 0'
    yield 'envoy_cluster_membership_total{envoy_cluster_name="eulas"} 2'
    yield "envoy_server_days_until_first_cert_expiring 3"


class _Handler(BaseHTTPRequestHandler):
    began = 0.0

    def do_GET(self) -> None:
        body = "".join(f"{line}\n" for line in metrics(self.path.strip("/"), time.monotonic() - self.began)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None: ...


@contextmanager
def broken_suite() -> Iterator[str]:
    """Serves the metrics of each job at `/JOB`, and yields the address."""
    assert {TOLL, ORDER_STATE, EULAS, ABSENT, WITHOUT_WORKERS, HEALTHY} <= set(suite.SERVICES)
    handler = type("Handler", (_Handler,), {"began": time.monotonic()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
