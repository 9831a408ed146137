"""More calls than the database can serve: how much work is still done, and how the rest is refused.

The database is 40 ms away, so that eight connections serve some 200 calls a second and the machine is not the limit.
The load is an open loop, as the load of many apps is.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from bench import open_loop
from bench.open_loop import Event, Stream, quantile
from ridehail_servers.runtime.ports import free_port
from tests.support.tcp_proxy import Mode, postgres_target, tcp_proxy, through

from .calls import WORKLOADS, Keys
from .outage_cases import RECOVERY_S, recovered
from .postgres import HOST, Postgres
from .report import ChaosReport, Effort
from .stack import ServerFolder

PART = "overload"

_ONE_WAY_S = 0.02
_SERVICES = ("order-core", "eulas", "family", "user-state")
_LOADS = (0.5, 1, 2, 4, 8)
_CURVE_S = 8.0
_WARM_UP_S = 1.0
_CAPACITY_S = 4.0
_DEADLINE_S = 0.5
_HEALTH_RATE = 20.0
_EPISODES = 56
_EPISODE_S = 1.5
_AFTER_S = 2.5
_AFTER_RATE = 40.0
_SEED = 12
_MIN_GOODPUT = 0.8
_MAX_REFUSAL_MS = 50.0
_HEALTH = "/grpc.health.v1.Health/Check"


class _Overload:
    def __init__(self, report: ChaosReport, folder: Path, stack: ExitStack) -> None:
        self._report = report
        self._folder = folder
        self._keys = Keys()
        server_folder = ServerFolder(folder)
        postgres = Postgres(folder / "postgres")
        stack.callback(postgres.stop)
        postgres.start_with_schemas()
        proxy = stack.enter_context(tcp_proxy(postgres_target(postgres.url)))
        self._server_folder = server_folder
        port = free_port(HOST, 0)
        self._address = f"{HOST}:{port}"
        urls = dict.fromkeys(_SERVICES, through(proxy, postgres.url))
        server = server_folder.serve(_SERVICES, urls, dict.fromkeys(_SERVICES, self._address), name="server", port=port)
        stack.callback(server.kill)
        server.start()
        proxy.set(Mode.PASS, delay_s=_ONE_WAY_S)

    async def capacity(self, service: str) -> float:
        """Returns the calls a second of a closed loop with as many callers as the pool has connections."""
        stream = self._stream(service, 0.0, 1.0, connections=8)
        events = (await open_loop.run([stream], _CAPACITY_S, self._folder))[stream.name]
        late = [event for event in events if event.sent - events[0].sent > _WARM_UP_S and event.is_good]
        return len(late) / (_CAPACITY_S - _WARM_UP_S)

    async def curve(self, service: str, capacity: float, loads: Sequence[float], seconds: float) -> None:
        """Measures the goodput at each load, refusals and health checks."""
        goodput: dict[float, float] = {}
        for times in loads:
            stream = self._stream(service, times * capacity, _DEADLINE_S)
            health = Stream("health", self._address, _HEALTH, [b""], _HEALTH_RATE, deadline_s=10.0)
            events = await open_loop.run([stream, health], seconds, self._folder)
            figures = _figures(events[stream.name], seconds)
            goodput[times] = float(str(figures["good/s"]))
            waits = [1000 * event.seconds for event in events["health"]]
            figures["health p99 ms"] = quantile(waits, 0.99)
            ratio = goodput[times] / max(goodput.values())
            figures["of the peak"] = ratio
            failed_health = sum(not event.is_good for event in events["health"])
            refusals = float(str(figures["refused p99 ms"]))
            kept = ratio >= _MIN_GOODPUT and refusals <= _MAX_REFUSAL_MS and not failed_health
            self._report.add(
                PART,
                f"{service}, {times:g} x {capacity:.0f}/s, deadline {_DEADLINE_S} s",
                figures,
                promise=f"goodput >= {_MIN_GOODPUT:.0%} of the peak up to 4 x, refused within {_MAX_REFUSAL_MS:.0f} ms,"
                " OVERLOADED, health well",
                kept=(kept and _only_overloaded(events[stream.name])) if times <= 4 else None,
                note=_causes(events[stream.name]),
            )

    async def episodes(self, capacity: dict[str, float], count: int) -> None:
        """Overloads for short times, each time in another way, and checks whether the service comes back."""
        chance = random.Random(_SEED)
        times: list[float] = []
        dead, after_failed, after_calls = 0, 0, 0
        for _ in range(count):
            service = chance.choice(list(capacity))
            load, deadline_s = chance.choice((4, 8)), chance.choice((0.2, 0.5, 1.0))
            stream = self._stream(service, load * capacity[service], deadline_s)
            await open_loop.run([stream], _EPISODE_S, self._folder)
            probe = self._stream(service, _AFTER_RATE, 1.0)
            events = (await open_loop.run([probe], _AFTER_S, self._folder))[probe.name]
            back = recovered(events, events[0].sent)
            dead += back is None
            times.append(float("inf") if back is None else back - events[0].sent)
            after = [event for event in events if back is not None and event.sent >= back]
            after_calls += len(after)
            after_failed += sum(not event.is_good for event in after)
        figures = {
            "episodes": count,
            "dead": dead,
            "recovery p50 s": quantile(times, 0.5),
            "max s": max(times),
            "failed after recovery": f"{after_failed}/{after_calls}",
        }
        promise = f"0 dead, all back within {RECOVERY_S:.0f} s"
        self._report.add(PART, "short overloads", figures, promise=promise, kept=max(times) <= RECOVERY_S)

    def _stream(self, service: str, rate: float, deadline_s: float, *, connections: int = 4) -> Stream:
        calls = WORKLOADS[service].read
        assert calls is not None
        stream = calls.stream(self._address, self._server_folder.keys, self._keys.take(2000), 1.0)
        return replace(stream, rate=rate, deadline_s=deadline_s, connections=connections)


def _figures(events: Sequence[Event], seconds: float) -> dict[str, object]:
    began = events[0].due
    settled = [event for event in events if event.due - began > _WARM_UP_S]
    good = [event for event in settled if event.is_good]
    refused = [1000 * event.seconds for event in settled if event.code == "ResourceExhausted"]
    return {
        "offered/s": len(settled) / (seconds - _WARM_UP_S),
        "good/s": len(good) / (seconds - _WARM_UP_S),
        "good p50 ms": quantile((1000 * event.seconds for event in good), 0.5),
        "refused p50 ms": quantile(refused, 0.5),
        "refused p99 ms": quantile(refused, 0.99),
    }


def _only_overloaded(events: Sequence[Event]) -> bool:
    """Returns whether every refusal is OVERLOADED with the time after which to try again."""
    refusals = [event for event in events if event.reason]
    return all(event.reason == "OVERLOADED" and event.retry_ms > 0 for event in refusals)


def _causes(events: Sequence[Event]) -> str:
    causes = Counter(event.reason or event.code for event in events if not event.is_good)
    return ", ".join(f"{name} {count}" for name, count in causes.most_common(4))


async def run(report: ChaosReport, folder: Path, effort: Effort) -> None:
    """Quick: two loads and few episodes."""
    with ExitStack() as stack:
        overload = _Overload(report, folder, stack)
        capacity = {service: await overload.capacity(service) for service in _SERVICES}
        report.add(PART, "capacity, 8 callers", {f"{service}/s": round(rate) for service, rate in capacity.items()})
        service = _SERVICES[0]
        loads, seconds = ((1, 4), 3.0) if effort.quick else (_LOADS, _CURVE_S)
        await overload.curve(service, capacity[service], loads, seconds)
        await overload.episodes(capacity, 6 if effort.quick else _EPISODES)
        after = {service: await overload.capacity(service) for service in _SERVICES}
        ratio = min(after[service] / capacity[service] for service in _SERVICES)
        report.add(
            PART,
            "capacity afterwards",
            {**{f"{service}/s": round(rate) for service, rate in after.items()}, "least ratio": ratio},
            promise="no connection is lost: >= 80% of before",
            kept=ratio >= _MIN_GOODPUT,
        )
