"""A real suite that has done everything once, and what its metrics port then says."""

from __future__ import annotations

import json
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psycopg
from prometheus_client.parser import text_string_to_metric_families
from psycopg import conninfo
from psycopg.rows import TupleRow

from ridehail_clients import (
    ComparedKind,
    InvalidPart,
    JsonMismatch,
    OrderNotFound,
    OrderStateClient,
    PartProblem,
    PassengerOrderStateClient,
    ServiceNotOwned,
    TollRoadsClient,
    UserStateClient,
)
from ridehail_servers import resources
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.tickets import TicketIssuer
from ridehail_servers.passenger_authorizer.session_tokens import issue_session_token
from ridehail_servers.runtime.data_dir import DataDir
from tests.support.config_edits import edit
from tests.support.folders import shared_folder
from tests.support.up import RunningCommand, up
from tests.support.waiting import LIMIT_S, eventually

_CREATED = datetime(2026, 11, 20, 12, tzinfo=UTC)


@dataclass
class Scrape:
    """What a metrics port said.

    Attributes:
        labels: Of every metric, by its name.
        values: Whatever was seen of a label, by the names of metric and label.
    """

    labels: dict[str, frozenset[str]] = field(default_factory=dict)
    values: dict[tuple[str, str], set[str]] = field(default_factory=dict)


def text_of(address: str) -> str:
    """Scrapes a metrics port."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=LIMIT_S) as answer:
        return str(answer.read().decode())


def scrape(address: str) -> Scrape:
    """Scrapes and parses a metrics port."""
    found = Scrape()
    for family in text_string_to_metric_families(text_of(address)):
        for sample in family.samples:
            known = found.labels.setdefault(sample.name, frozenset(sample.labels))
            assert known == frozenset(sample.labels), f"{sample.name} has not always the same labels"
            for label, value in sample.labels.items():
                found.values.setdefault((sample.name, label), set()).add(value)
    return found


def add_gateway(found: Scrape, socket: Path) -> None:
    """Adds what Envoy's administration reports, with the labels that a figure always has."""
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), timeout=30) as client:
        text = client.get("http://envoy/stats/prometheus").text
    # By its lines: the parser adds the end of a counter's name where there is none.
    for name, given in re.findall(r"^(\w+){(.*)} ", text, re.M):
        labels = frozenset(re.findall(r'(\w+)="', given))
        found.labels[name] = found.labels.get(name, labels) & labels


@contextmanager
def exercised_suite() -> Iterator[Scrape]:
    """Runs `ridehail up`, calls every handler of toll_roads, and makes its task end in every possible way."""
    with shared_folder() as folder:
        config = Path(shutil.copytree(resources.folder("config"), folder / "config"))
        # A worker that is lost is missed soon.
        edit(config / "server.yaml", {"tasks": {"heartbeat_s": 0.5, "stalled_after_s": 4, "rescue_interval_s": 0.5}})
        running = up(folder / "data", "--demo", "--config-dir", str(config))
        try:
            _Exercise(running).run()
            found = scrape(running.ready["metrics"])
            add_gateway(found, DataDir(running.data_dir).run / "envoy.sock")
            yield found
        finally:
            running.stop()


class _Exercise:
    def __init__(self, running: RunningCommand) -> None:
        self._running = running
        self._keys = DataDir(running.data_dir).keys
        folder = running.data_dir / "postgres"
        socket = (folder / "postmaster.pid").read_text().splitlines()[4]
        self._database = conninfo.make_conninfo(
            host=socket, user="postgres", dbname="ridehail", options="-c search_path=toll_roads"
        )

    def run(self) -> None:
        self._call_every_handler()
        with psycopg.connect(self._database, autocommit=True) as connection:
            self._lose_a_worker(connection)
            self._fail(connection)
            self._retain(connection)
        self._block()
        self._hang()

    def _client(self, source: str) -> TollRoadsClient:
        ticket = TicketIssuer(KeyRing(self._keys / "tickets"), source)
        return TollRoadsClient(self._running.ready["grpc"], ticket=ticket)

    def _call_every_handler(self) -> None:
        with self._client("routestats") as routestats:
            routestats.save_offer(offer_id="offer")
        self._report("done", offer_id="offer", toll=True)
        self._await("outcome", "done")
        self._report("refused", offer_id="offer", toll=False)
        self._await("outcome", "refused")
        with self._client("api-proxy") as api_proxy:
            api_proxy.retrieve_order(order_id="done")
            api_proxy.batch_retrieve_orders(order_ids=["done", "nowhere"])
            with suppress(OrderNotFound):
                api_proxy.retrieve_order(order_id="nowhere")
        self._switch()
        self._differ()
        self._report_parts()

    def _switch(self) -> None:
        keys, hour = KeyRing(self._keys / "sessions"), timedelta(hours=1)
        token = issue_session_token(keys, yandex_uid="400", ttl=hour, now=datetime.now(UTC))
        body = {"order_id": "done", "has_toll_road": False, "created": "2026-11-20T12:05:00Z"}
        request = urllib.request.Request(
            f"http://{self._running.ready['http']}/4.0/toll-roads/v1/order",
            json.dumps(body).encode(),
            {"authorization": f"Bearer {token}"},
            method="POST",
        )
        try:
            urllib.request.urlopen(request, timeout=LIMIT_S).close()
        except urllib.error.HTTPError as refused:
            refused.close()  # an answer like any other: it is counted

    def _differ(self) -> None:
        """Makes user_state compare two different responses."""
        ticket = TicketIssuer(KeyRing(self._keys / "tickets"), "api-proxy")
        with UserStateClient(self._running.ready["grpc"], ticket=ticket) as user_state, suppress(JsonMismatch):
            user_state.compare_jsons(
                request_id="request", kind=ComparedKind.READ, old={"a": 1}, new={"a": 2}, old_status=200, new_status=200
            )

    def _report_parts(self) -> None:
        """Polls, and reports an invalid part and an order of a service that is not the caller's own."""
        sessions, tickets = (
            KeyRing(self._keys / "sessions"),
            TicketIssuer(KeyRing(self._keys / "tickets"), "eats-orders"),
        )
        token = issue_session_token(sessions, yandex_uid="400", ttl=timedelta(hours=1), now=datetime.now(UTC))
        with PassengerOrderStateClient(self._running.ready["http"], session_token=token) as app:
            app.poll_orders_state()
            app.report_invalid_parts(parts=[InvalidPart("taxi", "fast_info", PartProblem.MISSING, 1)])
        with OrderStateClient(self._running.ready["grpc"], ticket=tickets) as eats, suppress(ServiceNotOwned):
            eats.report_order_parts(service="taxi", orderid="done", yandex_uid="400", sequence=1)

    def _report(self, order_id: str, *, offer_id: str | None, toll: bool) -> None:
        with self._client("processing") as processing:
            processing.enqueue_order_save(
                order_id=order_id,
                created=_CREATED,
                offer_id=offer_id,
                can_switch_road=True,
                user_chose_toll_road=toll,
                yandex_uid="400",
            )

    def _lose_a_worker(self, connection: psycopg.Connection[TupleRow]) -> None:
        """Leaves a task in the state in which a killed worker leaves it."""
        connection.execute(
            "INSERT INTO toll_roads.procrastinate_jobs (queue_name, task_name, args, status)"
            " VALUES ('default', 'toll_roads_order_save', '{\"subject\": 0}', 'doing')"
        )
        self._await_text("ridehail_tasks_rescued_total{")

    def _fail(self, connection: psycopg.Connection[TupleRow]) -> None:
        """Makes a task fail by a missing table."""
        connection.execute("ALTER TABLE toll_roads.offers RENAME TO out_of_reach")
        self._report("failed", offer_id="other-offer", toll=True)
        self._await("outcome", "failed")
        connection.execute("ALTER TABLE toll_roads.out_of_reach RENAME TO offers")

    def _retain(self, connection: psycopg.Connection[TupleRow]) -> None:
        """Runs each retention job early, with rows to keep, to archive and to delete."""
        connection.execute("INSERT INTO toll_roads.offers VALUES ('old', now() - interval '3 days')")
        connection.execute(
            "INSERT INTO toll_roads.orders (order_id, created_at, can_switch_road)"
            " VALUES ('old', now() - interval '3 days', true)"
        )
        connection.execute(
            "INSERT INTO toll_roads.log_has_toll_road (order_id, created_at, has_toll_road)"
            " SELECT order_id, created_at, true FROM toll_roads.orders WHERE order_id = 'old'"
        )
        for job, outcome in (("purge_orders", "kept"), ("archive", "archived"), ("purge_offers", "deleted")):
            connection.execute(
                "INSERT INTO toll_roads.procrastinate_jobs (queue_name, task_name, args)"
                " VALUES ('default', %s, '{\"timestamp\": 0}')",
                (f"toll_roads_{job}",),
            )
            self._await("job", job)
            self._await("outcome", outcome)

    def _block(self) -> None:
        """Makes a task wait for a lock beyond its timeout, so that it is retried."""
        with psycopg.connect(self._database) as connection:
            connection.execute("LOCK TABLE toll_roads.offers IN ACCESS EXCLUSIVE MODE")
            self._report("retried", offer_id="third-offer", toll=True)
            self._await("outcome", "retried")

    def _hang(self) -> None:
        """Opens the circuit breaker of toll_roads to order_core: switches read the price, which is locked."""
        with psycopg.connect(self._database) as connection:
            connection.execute("LOCK TABLE order_core.orders IN ACCESS EXCLUSIVE MODE")

            def is_given_up() -> bool:
                self._switch()
                return "ridehail_breakers_open{" in text_of(self._running.ready["metrics"])

            eventually(is_given_up)

    def _await(self, label: str, value: str) -> None:
        self._await_text(f'{label}="{value}"')

    def _await_text(self, text: str) -> None:
        def is_exported() -> bool:
            time.sleep(0.3)  # summing up all figures of all processes is no small work
            return text in text_of(self._running.ready["metrics"])

        eventually(is_exported)
