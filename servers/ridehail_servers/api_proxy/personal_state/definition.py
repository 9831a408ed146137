"""The wiring of personal states."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from ridehail_clients import AsyncProtocolClient, AsyncUserStateClient, RetryPolicy
from ridehail_servers.chassis.service_definition import ServiceContext

from .call_result import Comparison
from .comparison_queue import ComparisonQueue
from .config import PersonalStateConfig
from .dependencies import BackEnd, compare, drop
from .metrics import COMPARISONS_WAITING, NEW, OLD, show_at_zero
from .rollout import RiderExperiments, Rollout
from .service import PersonalStateServicer

_READS, _WRITES = "userstate-personalstate-enabled", "userstate-personalstate-write-enabled"
# What waits to be compared when the process ends may take this long; the rest is dropped.
_DRAIN_S = 2.0
# One attempt: a second one would cost the rider time, and a back end that is judged by its responses traffic.
_ONCE = RetryPolicy(attempts=1)
# A read of the old back end may take all of the time there is in one attempt, as the configuration says.
_MAX_ATTEMPT_S = 2.5


@asynccontextmanager
async def build_personal_state(
    context: ServiceContext, config: Callable[[], PersonalStateConfig]
) -> AsyncIterator[PersonalStateServicer]:
    """At the end of the block what waits to be compared is compared, or dropped if that takes too long."""
    show_at_zero()
    old_client = AsyncProtocolClient(context.channels[OLD], ticket=context.tickets, attempt_timeout=_MAX_ATTEMPT_S)
    new_client = AsyncUserStateClient(
        context.channels[NEW], ticket=context.tickets, retry=_ONCE, attempt_timeout=_MAX_ATTEMPT_S
    )

    queue: ComparisonQueue[Comparison] = ComparisonQueue(
        lambda comparison: compare(comparison, new_client),
        dropped=drop,
        capacity=lambda: config().compare_queue,
        workers=lambda: config().compare_workers,
        report_waiting=COMPARISONS_WAITING.set,
    )

    def is_on(experiment: str) -> Callable[[str], bool]:
        return lambda uid: context.experiments.enabled(experiment, passenger=uid)

    try:
        rollout = Rollout(
            config,
            experiments=RiderExperiments(reads=is_on(_READS), writes=is_on(_WRITES)),
            old=BackEnd(OLD, old_client, context.channels[OLD]),
            new=BackEnd(NEW, new_client, context.channels[NEW]),
            compare=queue.offer,
        )
        yield PersonalStateServicer(rollout)
    finally:
        await queue.close(within=_DRAIN_S)
