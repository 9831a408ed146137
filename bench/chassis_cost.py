"""What the chassis adds to a call: all interceptors on, against a bare grpc.aio handler, both with uvloop.

    python -m bench.chassis_cost [--rounds N] [--calls N]

Closed loop, one server process at a time, rounds of the variants by turns; medians. The load generator runs on the same
machine, so requests/s are a lower bound; the server's CPU time per call is what to compare.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import psutil
import uvloop

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from ridehail.tollroads.v1 import toll_roads_api_pb2_grpc as api_grpc
from ridehail_servers import resources
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.tickets import TicketIssuer
from ridehail_servers.runtime.data_dir import DataDir

CHANNELS = 4
CALLERS_PER_CHANNEL = 8
VARIANTS = ("bare", "chassis", "chassis, no access log")


@dataclass(frozen=True)
class Round:
    """What one round of one variant cost."""

    requests_per_s: float
    server_cpu_us: float


@contextmanager
def serving(variant: str, folder: Path) -> Iterator[tuple[int, psutil.Process]]:
    """Runs the null server for the length of the block; yields its port and process."""
    words = [sys.executable, "-m", "bench.null_server", variant.split(",", maxsplit=1)[0], str(folder)]
    log = subprocess.DEVNULL
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout
    assert process.stdin
    try:
        yield int(process.stdout.readline()), psutil.Process(process.pid)
    finally:
        process.stdin.close()
        process.wait(30)


async def load(port: int, calls: int, metadata: tuple[tuple[str, str], ...]) -> float:
    """Makes the calls, as many at a time as there are callers; returns the seconds that they took."""
    request = api.RetrieveOrderRequest(order_id="0f2c7d5e9a3b4c6d8e1f0a2b3c4d5e6f")
    channels = [grpc.aio.insecure_channel(f"127.0.0.1:{port}", [("grpc.channel", n)]) for n in range(CHANNELS)]
    share = calls // (CHANNELS * CALLERS_PER_CHANNEL)

    async def caller(stub: api_grpc.TollRoadsServiceAsyncStub) -> None:
        for _ in range(share):
            await stub.RetrieveOrder(request, metadata=metadata, timeout=10)

    stubs = [api_grpc.TollRoadsServiceStub(channel) for channel in channels for _ in range(CALLERS_PER_CHANNEL)]
    await asyncio.gather(*(stub.RetrieveOrder(request, metadata=metadata) for stub in stubs))
    began = time.perf_counter()
    await asyncio.gather(*map(caller, stubs))
    seconds = time.perf_counter() - began
    for channel in channels:
        await channel.close()
    return seconds


def measure(variant: str, folder: Path, calls: int) -> Round:
    """Measures one round."""
    ticket = TicketIssuer(KeyRing(folder / "keys" / "tickets"), "api-proxy").issue("toll-roads")
    with serving(variant, folder) as (port, process):
        uvloop.run(load(port, calls // 4, (("x-ya-service-ticket", ticket),)))
        before = process.cpu_times()
        seconds = uvloop.run(load(port, calls, (("x-ya-service-ticket", ticket),)))
        after = process.cpu_times()
    cpu = after.user + after.system - before.user - before.system
    return Round(calls / seconds, cpu / calls * 1e6)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=12_800)
    arguments = parser.parse_args()
    rounds: dict[str, list[Round]] = {variant: [] for variant in VARIANTS}
    with tempfile.TemporaryDirectory() as temporary:
        for variant in VARIANTS:
            folder = Path(temporary, variant)
            shutil.copytree(resources.folder("config"), folder / "config")
            DataDir(folder).ensure_keys()
        quiet = Path(temporary, VARIANTS[2], "config", "server.yaml")
        quiet.write_text("log_successful_calls: false\n")
        for _ in range(arguments.rounds):
            for variant in VARIANTS:
                rounds[variant].append(measure(variant, Path(temporary, variant), arguments.calls))
    bare = statistics.median(one.server_cpu_us for one in rounds["bare"])
    print(f"{'variant':<24}{'requests/s':>12}{'server CPU us/call':>20}{'x bare':>8}")
    for variant, measured in rounds.items():
        cpu = statistics.median(one.server_cpu_us for one in measured)
        speed = statistics.median(one.requests_per_s for one in measured)
        print(f"{variant:<24}{speed:>12.0f}{cpu:>20.0f}{cpu / bare:>8.2f}")


if __name__ == "__main__":
    main()
