"""Timeouts of steps within an incoming call."""

from __future__ import annotations

import time

import pytest

from ridehail_kernel.call_context import call_context
from ridehail_kernel.deadline_budget import share_of_remaining


def test_without_a_deadline_only_the_limit_counts() -> None:
    assert share_of_remaining(0.5) is None
    assert share_of_remaining(0.5, at_most=7.0) == 7.0


def test_a_step_gets_its_share_of_what_remains_up_to_its_limit() -> None:
    with call_context(deadline=time.monotonic() + 1000):
        assert share_of_remaining(0.5) == pytest.approx(500, abs=20)
        assert share_of_remaining(0.5, at_most=7.0) == 7.0


def test_a_call_that_is_late_leaves_a_step_no_time() -> None:
    with call_context(deadline=time.monotonic() - 1):
        assert share_of_remaining() == 0
        assert share_of_remaining(at_most=7.0) == 0
