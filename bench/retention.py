"""The retention jobs at full size: how long, how much memory, what callers notice, and that no row is lost or doubled.

    python -m bench.retention [--orders N] [--part alone|felt|killed|two]

Fills a database once, with a third of the orders young, a third to be archived, and a third to be archived and deleted,
and half of the offers old; then runs `ridehail toll-roads` on copies of it: alone, beside a server under load, killed
(kill -9) again and again, and two of each at once. After each, database and archive are compared with what was filled.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import duckdb
import grpc
import psutil
import psycopg
import uvloop
from deltalake import DeltaTable
from psycopg import conninfo, sql

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from ridehail.tollroads.v1 import toll_roads_api_pb2_grpc as api_grpc
from ridehail_clients import open_async_channel
from ridehail_servers import resources, suite
from ridehail_servers.chassis import migrations
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.tickets import TicketIssuer
from ridehail_servers.runtime.data_dir import DataDir
from ridehail_servers.runtime.postgres import EmbeddedPostgres
from tests.support.folders import shared_folder

FULL_SIZE = 600_000
OFFERS_PER_ORDER = 7 / 3
JOBS = ("purge-offers", "archive", "purge-orders")
CALLERS = 8
IDLE_S = 20.0
# Of a job that is killed: how long it lives, at least and at most, in seconds after it has begun.
LIFE_S = (1.3, 4.0)
MAX_KILLS = 40
RIDEHAIL = Path(sys.executable).with_name("ridehail")

# No row is within two hours of an age that matters, so the jobs may take their time.
_FILL = (
    """
    INSERT INTO toll_roads.orders (order_id, created_at, offer_id, can_switch_road, yandex_uid)
    SELECT md5(n::text), now() - interval '2 hours' - (n % 3) * interval '24 hours' - interval '20 hours' * random(),
        'offer-' || n, n % 2 = 0, n::text
    FROM generate_series(1, {orders}) AS n
    """,
    """
    INSERT INTO toll_roads.log_has_toll_road (order_id, created_at, has_toll_road)
    SELECT order_id, created_at, true FROM toll_roads.orders
    UNION ALL
    SELECT order_id, created_at + interval '5 minutes', false FROM toll_roads.orders WHERE yandex_uid LIKE '%0'
    """,
    """
    INSERT INTO toll_roads.offers (offer_id, created_at)
    SELECT 'offer-' || n, now() - interval '2 hours' - (n % 2) * interval '24 hours' - interval '20 hours' * random()
    FROM generate_series(1, {offers}) AS n
    """,
)
# What was filled and what must be left, as the checks ask for it.
_OLD = "created_at < now() - interval '{hours} hours'"
_DIGEST = "SELECT count(*), coalesce(bit_xor(hashtextextended({row}, 0)), 0) FROM toll_roads.{table} WHERE {which}"
_ROWS = {
    "orders": "concat_ws('|', order_id, extract(epoch FROM created_at), offer_id, can_switch_road)",
    "log_has_toll_road": "concat_ws('|', order_id, extract(epoch FROM created_at), has_toll_road)",
    "offers": "concat_ws('|', offer_id, extract(epoch FROM created_at))",
}


@dataclass(frozen=True)
class Ended:
    seconds: float
    peak_mib: float
    printed: str

    @property
    def rows(self) -> int:
        """Sum of the rows that the job reports."""
        return sum(int(word.split("=")[1].rstrip(",")) for word in self.printed.split() if "=" in word)


@dataclass(frozen=True)
class Latencies:
    """Percentiles in milliseconds, and failures by code."""

    calls_per_s: float
    p50: float
    p99: float
    failures: dict[str, int]


class Playground:
    """A Postgres with a filled database, and copies of it to run on."""

    def __init__(self, url: str, folder: Path) -> None:
        self._admin = url
        self._folder = folder

    def fill(self, orders: int) -> None:
        with psycopg.connect(self._admin, autocommit=True) as admin:
            admin.execute("CREATE DATABASE filled")
        filled = self._url("filled")
        migrations.migrate(filled, "toll_roads", resources.folder("migrations") / "toll_roads")
        with psycopg.connect(filled, autocommit=True) as connection:
            connection.execute("SET session_replication_role = replica")  # every log row's order was just written
            for statement in _FILL:
                connection.execute(statement.format(orders=orders, offers=round(orders * OFFERS_PER_ORDER)).encode())
            connection.execute("VACUUM (ANALYZE)")

    @contextmanager
    def copy(self, name: str) -> Iterator[tuple[str, Path]]:
        """Makes a copy for the length of the block; yields its URL and the folder of its archive."""
        with psycopg.connect(self._admin, autocommit=True) as admin:
            admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE filled").format(sql.Identifier(name)))
            admin.execute("CHECKPOINT")
            yield self._url(name), self._folder / name
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def digests(self) -> dict[str, object]:
        """Returns digests of what must be left, and counts of what must be archived, for `check`."""
        filled = self._url("filled")
        counts = {
            table: _one(filled, f"SELECT count(*) FROM toll_roads.{table} WHERE {_OLD.format(hours=24)}")
            for table in ("orders", "log_has_toll_road")
        }
        left = {
            table: digest(filled, table, f"NOT {_OLD.format(hours=24 if table == 'offers' else 48)}") for table in _ROWS
        }
        return {"archived": counts, "left": left}

    def _url(self, name: str) -> str:
        return conninfo.make_conninfo(self._admin, dbname=name)


def digest(url: str, table: str, which: str = "true") -> tuple[object, ...]:
    """Returns the number of rows and a digest of them that does not depend on their order."""
    with psycopg.connect(url) as connection:
        row = connection.execute(_DIGEST.format(row=_ROWS[table], table=table, which=which).encode()).fetchone()
    assert row is not None
    return tuple(row)


def check(url: str, archive: Path, expected: dict[str, object]) -> None:
    """Compares database and archive with what was filled.

    Raises:
        AssertionError: A row is lost, doubled, or not where it must be.
    """
    assert {table: digest(url, table) for table in _ROWS} == expected["left"], "the database"
    keys = {"orders": "order_id", "log_has_toll_road": "(order_id, created_at)"}
    counts = {}
    for table, key in keys.items():
        files = DeltaTable(archive / table).file_uris()
        query = f"SELECT count(*), count(DISTINCT {key}) FROM read_parquet({files!r}, hive_partitioning = true)"
        rows, distinct = duckdb.execute(query).fetchall()[0]
        assert rows == distinct, f"{table}: {rows - distinct} rows are twice in the archive"
        counts[table] = rows
    assert counts == expected["archived"], "the archive"
    days = [
        (table, day)
        for table in keys
        for day in DeltaTable(archive / table).get_add_actions(flatten=True).column("partition.day").to_pylist()
    ]
    most_files = max(Counter(days).values())
    print(f"    every row is where it must be; DuckDB counts {counts}; at most {most_files} files a day")


def start(job: str, url: str, archive: Path) -> subprocess.Popen[str]:
    words = [str(RIDEHAIL), "toll-roads", job, "--database-url", url]
    if job == "archive":
        words += ["--archive-url", str(archive)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(job: str, url: str, archive: Path) -> Ended:
    began = time.monotonic()
    process = start(job, url, archive)
    peak = 0
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        try:
            peak = max(peak, watched.memory_info().rss)
        except psutil.NoSuchProcess:
            break
        time.sleep(0.02)
    printed, errors = process.communicate()
    assert process.returncode == 0, errors
    return Ended(time.monotonic() - began, peak / 2**20, printed.strip())


def run_all(url: str, archive: Path) -> None:
    """Runs the jobs one after the other, and prints what each took."""
    for job in JOBS:
        ended = run(job, url, archive)
        speed = f"{ended.seconds / 60:.2f} min, {ended.rows / ended.seconds:,.0f} rows/s"
        print(f"    {ended.printed}\n      {speed}, peak memory {ended.peak_mib:.0f} MiB", flush=True)


def killed(url: str, archive: Path) -> int:
    """Kills each job repeatedly until it ends before; returns the number of kills."""
    chance = random.Random(4)
    kills = 0
    for job in JOBS:
        for _ in range(MAX_KILLS):
            process = start(job, url, archive)
            try:
                process.communicate(timeout=chance.uniform(*LIFE_S))
                break
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
                kills += 1
        run(job, url, archive)
    return kills


def two_at_once(url: str, archive: Path) -> None:
    """Runs two of each job at once, and then one more for what the two left to each other."""
    for job in JOBS:
        pair = [start(job, url, archive) for _ in range(2)]
        for process in pair:
            _, errors = process.communicate()
            assert process.returncode == 0, errors
        run(job, url, archive)


@contextmanager
def server(url: str, folder: Path) -> Iterator[tuple[str, str]]:
    """Serves toll-roads for the length of the block; yields its address and a ticket."""
    data = DataDir(folder)
    data.ensure_keys(suite.ticket_sources(resources.folder("config")))
    words = ["serve", "toll-roads", "--grpc-port", "0", "--metrics-port", "0", "--database-url", url]
    words += ["--data-dir", str(folder), "--address", "order-core=127.0.0.1:1"]
    process = subprocess.Popen(
        [str(RIDEHAIL), *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ}
    )
    assert process.stdout is not None
    try:
        ready = dict(word.split("=") for word in process.stdout.readline().split()[1:])
        yield ready["grpc"], TicketIssuer(KeyRing(data.keys / "tickets"), "api-proxy").issue("toll-roads")
    finally:
        process.terminate()
        process.wait(60)


async def load(address: str, ticket: str, young: list[str], stop: threading.Event) -> Latencies:
    """Retrieves random young orders, `CALLERS` at a time, until `stop` is set."""
    waits: list[float] = []
    failures: Counter[str] = Counter()

    async def caller(stub: api_grpc.TollRoadsServiceAsyncStub) -> None:
        while not stop.is_set():
            request = api.RetrieveOrderRequest(order_id=random.choice(young))
            began = time.perf_counter()
            try:
                await stub.RetrieveOrder(request, metadata=(("x-ya-service-ticket", ticket),), timeout=10)
            except grpc.aio.AioRpcError as error:
                failures[error.code().name] += 1
            waits.append(time.perf_counter() - began)

    began = time.perf_counter()
    async with open_async_channel(address, health_check=False) as channel:
        stub: api_grpc.TollRoadsServiceAsyncStub = api_grpc.TollRoadsServiceStub(channel)
        await asyncio.gather(*(caller(stub) for _ in range(CALLERS)))
    cuts = statistics.quantiles(waits, n=100)
    return Latencies(len(waits) / (time.perf_counter() - began), cuts[49] * 1e3, cuts[98] * 1e3, dict(failures))


def under_load(address: str, ticket: str, young: list[str], stop: threading.Event) -> Latencies:
    return uvloop.run(load(address, ticket, young, stop))


def felt(url: str, archive: Path, folder: Path) -> None:
    """Prints latencies of a server without the jobs and while they run."""
    with psycopg.connect(url) as connection:
        query = f"SELECT order_id FROM toll_roads.orders WHERE NOT {_OLD.format(hours=24)} LIMIT 100000"
        young = [row[0] for row in connection.execute(query.encode()).fetchall()]
    with server(url, folder) as (address, ticket):
        _load_while(partial(time.sleep, IDLE_S / 4), address, ticket, young)  # warms up
        for job in JOBS:
            quiet = _load_while(partial(time.sleep, IDLE_S), address, ticket, young)
            busy = _load_while(partial(run, job, url, archive), address, ticket, young)
            print(f"    before {job}: {_formatted(quiet)}")
            ratios = f"p50 x{busy.p50 / quiet.p50:.2f}, p99 x{busy.p99 / quiet.p99:.2f}"
            print(f"    during {job}: {_formatted(busy)}: {ratios}", flush=True)


def _load_while(work: Callable[[], object], address: str, ticket: str, young: list[str]) -> Latencies:
    stop = threading.Event()

    def work_then_stop() -> None:
        try:
            work()
        finally:
            stop.set()

    worker = threading.Thread(target=work_then_stop)
    worker.start()
    try:
        return under_load(address, ticket, young, stop)
    finally:
        worker.join()


def _formatted(seen: Latencies) -> str:
    failures = f", failures {seen.failures}" if seen.failures else ""
    return f"{seen.calls_per_s:,.0f} calls/s, p50 {seen.p50:.2f} ms, p99 {seen.p99:.2f} ms{failures}"


def _one(url: str, query: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


PARTS = ("alone", "felt", "killed", "two")


def measure(part: str, playground: Playground, folder: Path) -> None:
    """Runs one part on a copy of its own, and checks the result."""
    expected = playground.digests()
    with playground.copy(part) as (url, archive):
        if part == "alone":
            print("alone", flush=True)
            run_all(url, archive)
        elif part == "felt":
            print(f"beside a server with {CALLERS} callers in a closed loop", flush=True)
            felt(url, archive, folder / "data")
        elif part == "killed":
            print("killed again and again, then run to the end", flush=True)
            print(f"    {killed(url, archive)} kills")
        else:
            print("two of each at once", flush=True)
            two_at_once(url, archive)
        check(url, archive, expected)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=FULL_SIZE)
    parser.add_argument("--part", choices=PARTS, action="append", help="may be repeated; default: all")
    arguments = parser.parse_args()
    with shared_folder() as folder:
        postgres = EmbeddedPostgres(folder / "postgres")
        playground = Playground(postgres.start(), folder)
        try:
            print(f"filling {arguments.orders:,} orders and {round(arguments.orders * OFFERS_PER_ORDER):,} offers")
            playground.fill(arguments.orders)
            for part in arguments.part or PARTS:
                measure(part, playground, folder)
        finally:
            postgres.stop()


if __name__ == "__main__":
    main()
