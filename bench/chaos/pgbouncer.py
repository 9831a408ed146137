"""Every service behind PgBouncer with transaction pooling, as docs/production.md describes it."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import psycopg
from psycopg import conninfo

from bench import open_loop
from ridehail_servers import suite
from ridehail_servers.chassis import migrations
from ridehail_servers.runtime.ports import free_port

from .calls import WORKLOADS, Journal, Keys, settled
from .postgres import HOST, Postgres
from .report import ChaosReport, Effort
from .stack import ServerFolder

PART = "pgbouncer"

_SECONDS = 10.0
_RATE = 8.0
_POOL = 3
_WITHIN_S = 30.0
_SINCE_PREPARED = (1, 21)
_INI = """
[databases]
* = host={host} port={server}
[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = transaction
default_pool_size = {pool}
max_client_conn = 1000
ignore_startup_parameters = options,extra_float_digits
"""


def _version(program: str) -> tuple[int, int]:
    text = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    found = re.search(r"(\d+)\.(\d+)", text)
    assert found is not None, text
    return int(found[1]), int(found[2])


def _start(program: str, folder: Path, postgres: Postgres, stack: ExitStack) -> int:
    """Starts PgBouncer in front of a server; returns its port."""
    port = free_port(HOST, 0)
    roles = [f"ridehail_{it.schema}" for it in suite.SERVICES.values() if it.schema is not None]
    users = folder / "users.txt"
    users.write_text("".join(f'"{role}" ""\n' for role in roles))
    file = folder / "pgbouncer.ini"
    file.write_text(_INI.format(host=HOST, server=postgres.port, port=port, users=users, pool=_POOL))
    log = stack.enter_context((folder / "pgbouncer.log").open("w"))
    # It refuses to run as root.
    process = subprocess.Popen([program, str(file)], stdout=log, stderr=log, user=postgres.system_user)
    stack.callback(process.wait, 10)
    stack.callback(process.terminate)
    return port


def _urls(postgres: Postgres, port: int) -> dict[str, str]:
    """Creates the services' roles; returns their URLs through PgBouncer."""
    urls = {}
    for name in WORKLOADS:
        schema = suite.SERVICES[name].schema
        assert schema is not None
        urls[name] = conninfo.make_conninfo(migrations.create_role(postgres.url, schema), port=str(port))
    ends = time.monotonic() + _WITHIN_S
    while True:
        try:
            psycopg.connect(next(iter(urls.values()))).close()
        except psycopg.OperationalError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.1)
        else:
            return urls


async def run(report: ChaosReport, folder: Path, effort: Effort) -> None:
    program = shutil.which("pgbouncer", path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    if program is None:
        report.add(PART, "every service behind PgBouncer", {}, note="skipped: there is no pgbouncer")
        return
    version = _version(program)
    seconds = 3.0 if effort.quick else _SECONDS
    with ExitStack() as stack:
        server_folder, postgres = ServerFolder(folder), Postgres(folder / "postgres")
        stack.callback(postgres.stop)
        await asyncio.to_thread(postgres.start_with_schemas)
        urls = await asyncio.to_thread(lambda: _urls(postgres, _start(program, folder, postgres, stack)))
        if version < _SINCE_PREPARED:
            _without_prepared_statements(server_folder)
        port = free_port(HOST, 0)
        address = f"{HOST}:{port}"
        addresses = dict.fromkeys(WORKLOADS, address)
        server = server_folder.serve(list(WORKLOADS), urls, addresses, name="server", port=port)
        direct = dict.fromkeys(WORKLOADS, postgres.url)
        worker = server_folder.worker(["route-sharing", "toll-roads"], direct, addresses, name="worker")
        for process in (server, worker):
            stack.callback(process.kill)
            await asyncio.to_thread(process.start)
        keys, journals, streams = Keys(), [], []
        for workload in WORKLOADS.values():
            for calls in filter(None, (workload.write, workload.read)):
                numbers = keys.take(round(_RATE * seconds) + 1)
                streams.append(calls.stream(address, server_folder.keys, numbers, _RATE))
                journals.append((workload, calls is workload.write, numbers))
        events = await open_loop.run(streams, seconds, folder)
        failures = Counter(
            f"{name} {event.reason or event.code}"
            for name, those in events.items()
            for event in those
            if not event.is_good
        )
        lost = 0
        for (workload, writes, numbers), stream in zip(journals, streams, strict=True):
            if writes:
                journal = Journal()
                journal.note(numbers, events[stream.name])
                lost += (await settled(journal, postgres.url, workload.written, within_s=_WITHIN_S))["lost"]
    report.add(
        PART,
        f"every service behind PgBouncer {'.'.join(map(str, version))}, {_POOL} connections each",
        {"calls": sum(map(len, events.values())), "failed": failures.total(), "lost": lost},
        promise="0 failed, 0 lost",
        kept=not failures and lost == 0,
        note=", ".join(f"{name} {count}" for name, count in failures.most_common(4)),
    )


def _without_prepared_statements(server_folder: ServerFolder) -> None:
    file = server_folder.config / "server.yaml"
    content, count = re.subn(r"prepared_statements: true", "prepared_statements: false", file.read_text())
    assert count == 1
    file.write_text(content)
