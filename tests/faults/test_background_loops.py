"""Background loops: whatever they meet, they go on, and it can be seen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from ridehail_servers.api_proxy.card.promo_cache import PromoCache
from ridehail_servers.api_proxy.personal_state.comparison_queue import ComparisonQueue
from ridehail_servers.chassis.background import failing_loops, keep_running, running_loops
from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.redis_cache import RedisCache
from ridehail_servers.chassis.settings import CacheSettings, PoolSettings, TaskSettings
from ridehail_servers.chassis.tasks import TaskQueue
from ridehail_servers.runtime.supervisor import Process, Supervisor
from tests.support.log_capture import LogCapture, captured_logs
from tests.support.waiting import LIMIT_S, until


class Panic(BaseException):
    """As a library in Rust raises it."""


class Failing:
    """Fails in one way after the other, then works until it is cancelled."""

    def __init__(self, *failures: BaseException) -> None:
        self.failures = list(failures)
        self.works = asyncio.Event()

    async def __call__(self) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.works.set()
        await asyncio.Event().wait()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def log() -> Iterator[LogCapture]:
    with captured_logs() as capture:
        yield capture


@asynccontextmanager
async def kept_running(name: str, work: Callable[[], Awaitable[None]], pauses: list[float]) -> AsyncIterator[None]:
    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0)

    task = asyncio.create_task(keep_running(name, work, pause=pause))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()


def failures(name: str) -> float | None:
    return REGISTRY.get_sample_value("ridehail_background_loop_failures_total", {"loop": name})


async def test_a_loop_goes_on_after_whatever_it_meets(log: LogCapture, pauses: list[float]) -> None:
    met = [ValueError("a"), TypeError("b"), RecursionError(), MemoryError(), asyncio.CancelledError(), Panic("rust")]
    work = Failing(*met)
    async with kept_running("all kinds", work, pauses):
        await asyncio.wait_for(work.works.wait(), LIMIT_S)
        assert failures("all kinds") == len(met)
        assert "all kinds" in running_loops()
        assert "all kinds" in failing_loops()
    assert [line["loop"] for line in log.events("background work failed")] == ["all kinds"] * len(met)
    assert "Panic: rust" in log.events("background work failed")[-1]["exception"]
    assert "all kinds" not in running_loops() + failing_loops()


async def test_the_pauses_grow_and_are_bounded(log: LogCapture, pauses: list[float]) -> None:
    work = Failing(*(ValueError() for _ in range(12)))
    async with kept_running("pauses", work, pauses):
        await asyncio.wait_for(work.works.wait(), LIMIT_S)
    assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
    assert pauses[-1] == max(pauses) == 10
    assert log.events("background work failed")


async def test_a_loop_that_does_well_is_counted_at_zero_and_not_among_the_failing(pauses: list[float]) -> None:
    work = Failing()
    async with kept_running("does well", work, pauses):
        await asyncio.wait_for(work.works.wait(), LIMIT_S)
        assert failures("does well") == 0
        assert "does well" in running_loops()
        assert "does well" not in failing_loops()


async def test_a_loop_with_nothing_left_to_do_ends() -> None:
    async def work() -> None: ...

    await asyncio.wait_for(keep_running("short", work), LIMIT_S)
    assert "short" not in running_loops()


# --- the loops of the tree


class MovingClient:
    """A client of Redis that is away, then fails in a way that nobody thought of, then answers."""

    def __init__(self) -> None:
        self.answers: list[BaseException] = [asyncio.CancelledError(), Panic()]
        self.away = True

    async def mget(self, keys: tuple[str, ...]) -> list[bytes | None]:
        if self.away:
            raise ConnectionError
        return [None] * len(keys)

    async def ping(self) -> None:
        if self.answers:
            raise self.answers.pop(0)
        self.away = False

    async def aclose(self) -> None: ...


async def test_a_cache_is_used_again_after_a_ping_that_failed_oddly(log: LogCapture) -> None:
    cache = RedisCache(MovingClient(), CacheSettings())  # type: ignore[arg-type]
    try:

        async def answers() -> bool:
            with suppress(Exception):
                return await cache.get_many("key") == (None,)
            return False

        await until(answers)
        assert [line["loop"] for line in log.events("background work failed")] == ["ping of the cache"] * 2
    finally:
        await cache.close()


class Breaking:
    """A cache whose first writes fail in a way that nobody thought of."""

    def __init__(self) -> None:
        self.failures = 2
        self.told = 0

    async def get_many(self, *keys: str) -> tuple[bytes | None, ...]:
        return (None,) * len(keys)

    async def put(self, key: str, *_args: object, **_kwargs: object) -> bool:
        if self.failures and "unknown" not in key:
            self.failures -= 1
            raise TypeError("odd")
        self.told += "generation" in key
        return True


async def test_a_change_of_banners_reaches_the_cache_after_a_failure(log: LogCapture) -> None:
    cache = Breaking()
    promos = PromoCache(
        cache,  # type: ignore[arg-type]
        new_generation=lambda: bytes(16),
        clock=asyncio.get_running_loop().time,
        unknown_for_s=0,
    )
    with suppress(TypeError):
        await promos.after_change("order", is_certain=False)
    await until(lambda: cache.told)
    assert log.events("background work failed")[0]["loop"] == "voiding of kept banners"
    await promos.close()


async def test_one_comparison_that_fails_takes_the_worker_from_no_other(log: LogCapture) -> None:
    done: list[int] = []
    dropped: list[int] = []

    async def work(item: int) -> None:
        if item == 1:
            raise TypeError("odd")
        done.append(item)

    queue = ComparisonQueue(
        work, dropped=dropped.append, capacity=lambda: 9, workers=lambda: 1, report_waiting=lambda _n: None
    )
    for item in range(4):
        queue.offer(item)
    await queue.close(within=LIMIT_S)
    assert (done, dropped) == ([0, 2, 3], [1])
    assert log.events("background work failed")[0]["loop"] == "comparison queue"


@pytest.mark.integration
async def test_a_process_whose_start_fails_for_now_is_started_later(tmp_path: Path, log: LogCapture) -> None:
    """A log that cannot be opened stands for a full disk or a full table of processes."""
    program, started = tmp_path / "program", tmp_path / "started"
    program.write_text(f"#!/bin/sh\necho x >>{started}\nexec sleep 60\n")
    program.chmod(0o700)
    logs = tmp_path / "logs"
    logs.mkdir()
    pids: list[int] = []

    def note(pid: int) -> None:
        pids.append(pid)
        if len(pids) > 1:
            raise OSError(28, "No space left on device")

    supervisor = Supervisor(started=note)
    try:
        process = Process("part", (str(program),), None, logs / "part.log")
        await supervisor.start(process)
        assert process.running is not None
        await until(lambda: started.exists() and started.read_text())
        logs.rename(tmp_path / "elsewhere")
        process.running.kill()
        await until(lambda: log.events("process not restarted"))
        assert "No such file" in log.events("process not restarted")[0]["reason"]
        (tmp_path / "elsewhere").rename(logs)
        await until(lambda: len(pids) > 1 and started.read_text().count("x") == 2)
        assert log.events("process not noted")[0]["reason"] == "No space left on device"
    finally:
        await supervisor.stop()


class TrippingQueue(TaskQueue):
    """A queue whose work fails once in a way that nobody thought of."""

    def __init__(self, stop: asyncio.Event) -> None:
        settings = PoolSettings()
        super().__init__("order-state", Database("dbname=x", schema="x", settings=settings, application="x"))
        self.stop = stop
        self.runs = 0

    async def _run_until(self, *_args: object) -> None:
        self.runs += 1
        if self.runs == 1:
            raise TypeError("odd")
        self.stop.set()


async def test_a_worker_goes_on_after_a_failure_beside_its_tasks(log: LogCapture) -> None:
    stop = asyncio.Event()
    queue = TrippingQueue(stop)
    await asyncio.wait_for(queue.run_worker([], TaskSettings(), stop=stop), LIMIT_S)
    assert queue.runs == 2
    assert log.events("background work failed")[0]["loop"] == "tasks of order-state"
