"""The wiring of personal states."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from ridehail_clients import AsyncProtocolClient, AsyncUserStateClient, RetryPolicy
from ridehail_servers.chassis.service_definition import ServiceContext

from .comparison_queue import ComparisonQueue
from .comparisons import compare, drop
from .config import PersonalStateConfig
from .dependencies import RemoteBackEnd
from .metrics import COMPARISONS_WAITING, NEW, OLD, count_request, show_at_zero
from .personal_states import Comparison, PersonalStates, RiderExperiments
from .service import PersonalStateServicer

_READS, _WRITES = "userstate-personalstate-enabled", "userstate-personalstate-write-enabled"
# What waits to be compared when the process ends may take this long; the rest is dropped.
_DRAIN_S = 2.0
# One attempt: a second one would cost the rider time, and a back end that is judged by its answers traffic.
_ONCE = RetryPolicy(attempts=1)
# A read of the old back end may take all of the time there is in one attempt, as the configuration says.
_LONGEST_ATTEMPT_S = 2.5


@asynccontextmanager
async def build_personal_state(
    context: ServiceContext, config: Callable[[], PersonalStateConfig]
) -> AsyncIterator[PersonalStateServicer]:
    """At the end of the block what waits to be compared is compared, or dropped if that takes too long."""
    show_at_zero()
    old_client = AsyncProtocolClient(context.channels[OLD], ticket=context.tickets, attempt_timeout=_LONGEST_ATTEMPT_S)
    new_client = AsyncUserStateClient(
        context.channels[NEW], ticket=context.tickets, retry=_ONCE, attempt_timeout=_LONGEST_ATTEMPT_S
    )

    async def work(comparison: Comparison) -> None:
        await compare(comparison, new_client)

    queue = ComparisonQueue(
        work,
        dropped=drop,
        capacity=lambda: config().compare_queue,
        workers=lambda: config().compare_workers,
        report_waiting=COMPARISONS_WAITING.set,
    )

    def is_on(experiment: str) -> Callable[[str], bool]:
        return lambda uid: context.experiments.enabled(experiment, passenger=uid)

    try:
        states = PersonalStates(
            config,
            experiments=RiderExperiments(reads=is_on(_READS), writes=is_on(_WRITES)),
            old=RemoteBackEnd(OLD, old_client, context.channels[OLD]),
            new=RemoteBackEnd(NEW, new_client, context.channels[NEW]),
            compare=queue.offer,
            report=count_request,
        )
        yield PersonalStateServicer(states)
    finally:
        await queue.close(within=_DRAIN_S)
