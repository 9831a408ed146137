"""State machines of hypothesis, which are not asynchronous, against services that are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from typing import TypeVar

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.support.loop_thread import LoopThread, loop_thread

Harness = TypeVar("Harness")


@contextmanager
def running_in_a_thread(harness: AbstractAsyncContextManager[Harness]) -> Iterator[tuple[LoopThread, Harness]]:
    """Enters `harness` on a loop that keeps running for the length of the block."""
    with loop_thread() as loop:
        stack = AsyncExitStack()
        entered = loop.run(stack.enter_async_context(harness))
        try:
            yield loop, entered
        finally:
            loop.run(stack.aclose())


def run_machine(machine: type[RuleBasedStateMachine], *, examples: int, steps: int = 12) -> None:
    """Tries random sequences of the machine's rules; fails with the shortest one that goes wrong."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
