"""`ridehail up` in a folder of the campaign, and calls to it."""

from __future__ import annotations

import math
import os
import signal
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import psycopg

from bench import open_loop
from bench.open_loop import Events, Stream
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.tickets import TicketIssuer
from ridehail_servers.passenger_authorizer.session_tokens import issue_session_token
from ridehail_servers.runtime.running_postgres import running_database_url

from .calls import WORKLOADS, Journal, Keys, found_in
from .postgres import put_shared_orders, signal_tree
from .stack import RidehailProcess

WRITTEN = "eulas"
"""The service whose writes are compared with the database: its log has each as often as it was applied."""

LAUNCH = "/3.0/launch"
"""The first request of an app."""

# More than one, since each has a share of calls of its own.
_PASSENGERS = 5
_PORTS = ("grpc", "http", "internal-http", "metrics")


class SuiteUp(RidehailProcess):
    """The whole suite; `journal` has the writes to `WRITTEN`."""

    def __init__(self, folder: Path, *, workers: int = 1, cache_url: str = "none") -> None:
        """Prepares the suite on free ports; other users may pass through the folder."""
        self.data_dir = folder / "data"
        ports = [word for name in _PORTS for word in (f"--{name}-port", "0")]
        words = ["up", "--data-dir", str(self.data_dir), "--workers", str(workers), "--cache-url", cache_url, *ports]
        super().__init__(words, folder / "up.log")
        self.keys = Keys()
        self.journal = Journal()

    @property
    def tickets(self) -> KeyRing:
        return KeyRing(self.data_dir / "keys" / "tickets")

    @property
    def database_url(self) -> str:
        """The superuser's URL.

        Raises:
            psycopg.OperationalError: Postgres does not run.
        """
        url = running_database_url(self.data_dir / "postgres")
        if url is None:
            raise psycopg.OperationalError("Postgres does not run")
        return url

    def put_orders(self) -> None:
        """Stores the orders that calls look up."""
        put_shared_orders(self.database_url)

    def find(self, name: str) -> psutil.Process | None:
        """Returns a process by its name (`serve-1`, `work-1`, `envoy`, `postgres`), or None if it does not run."""
        if name == "postgres":
            with suppress(OSError, ValueError, IndexError, psutil.NoSuchProcess):
                return psutil.Process(int((self.data_dir / "postgres" / "postmaster.pid").read_text().split()[0]))
            return None
        for process in self.processes()[1:]:
            with suppress(psutil.NoSuchProcess):
                words = process.cmdline()
                if name in words or (words and Path(words[0]).name.startswith(name)):
                    return process
        return None

    def everything(self) -> list[psutil.Process]:
        """Returns every living process that uses the data directory."""
        found = []
        for process in psutil.process_iter(["cmdline", "environ", "status", "cwd"]):
            about = [
                *(process.info["cmdline"] or ()),
                *(process.info["environ"] or {}).values(),
                process.info["cwd"] or "",
            ]
            is_alive = process.info["status"] != psutil.STATUS_ZOMBIE
            if is_alive and str(self.data_dir) in " ".join(about) and process.pid != os.getpid():
                found.append(process)
        return found

    def kill_everything(self) -> None:
        for process in self.everything():
            signal_tree(process.pid, signal.SIGKILL)

    async def load(self, seconds: float, folder: Path, rate: float) -> Events:
        """Calls the suite by gRPC and through the gateway, and notes the writes.

        Returns:
            The events of the streams "write", "read", "gateway" and "passengers".
        """
        numbers = self.keys.take(math.ceil(rate * seconds))
        read = WORKLOADS["order-core"].read
        assert read is not None
        calls = {
            "write": WORKLOADS[WRITTEN].write.stream(self.address, self.tickets, numbers, rate),
            "read": read.stream(self.address, self.tickets, numbers, rate),
        }
        # Several connections: they are spread over the processes that share the port.
        streams = [
            replace(stream, name=name, rate=rate, deadline_s=2.0, connections=4) for name, stream in calls.items()
        ]
        events = await open_loop.run([*streams, self._gateway(rate), self._passengers(rate)], seconds, folder)
        self.journal.note(numbers, events["write"])
        return events

    def _gateway(self, rate: float) -> Stream:
        headers = {"x-ya-service-ticket": TicketIssuer(self.tickets, "api-proxy").issue("toll-roads")}
        path, body = "/toll-roads/v1/order/retrieve", b'{"order_id": "unknown"}'
        address = self.ready["internal_http"]
        return Stream("gateway", address, path, [body], rate, deadline_s=2.0, headers=headers, protocol="http")

    def _passengers(self, rate: float) -> Stream:
        tokens = [f"Bearer {self.session_token(str(4_300_000_000 + number))}" for number in range(_PASSENGERS)]
        bodies = [b'{"supported_services": ["taxi"]}'] * _PASSENGERS
        address, each = self.ready["http"], ("authorization", tokens)
        return Stream("passengers", address, LAUNCH, bodies, rate, deadline_s=2.0, each=each, protocol="http")

    def session_token(self, uid: str) -> str:
        keys, hour = KeyRing(self.data_dir / "keys" / "sessions"), timedelta(hours=1)
        now = datetime.now(UTC)
        return issue_session_token(keys, yandex_uid=uid, user_id=uid, now=now, ttl=hour)

    def judge(self) -> Mapping[str, int]:
        """Compares acknowledged writes with the database."""
        found: Counter[str] = found_in(self.database_url, WORKLOADS[WRITTEN].written)
        return self.journal.judge(found)
