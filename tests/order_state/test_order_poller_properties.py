"""No change is missed, nothing is fetched without need, and a tag is kept only for what was fetched."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import settings

from ridehail_clients import PartInvalid
from tests.order_state.order_poller_machine import PARTS, OrderPollerMachine
from tests.order_state.order_state_by_model import SERVICES

KEYS = [("taxi", "order1"), ("taxi", "order2"), ("eats", "order1")]

OrderPollerMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=50)
TestOrderPoller = OrderPollerMachine.TestCase


@pytest.mark.parametrize("seed", range(8))
def test_however_long_an_app_lives_it_ends_with_what_is_true(seed: int) -> None:
    """Hypothesis likes short lives, and finds little where many things have to come together."""
    random, machine = Random(seed), OrderPollerMachine()
    machine.launch(known={})
    for _ in range(400):
        one_step(machine, random)
        machine.check()
    machine.teardown()


def one_step(machine: OrderPollerMachine, random: Random) -> None:
    index = random.randrange(12)
    if machine.app.fetches and random.random() < 0.3:
        error = random.choice([None, None, None, PartInvalid("scripted"), OSError("scripted")])
        machine.a_fetch_ends(index, error)
    elif machine.app.polls and random.random() < 0.4:
        machine.a_poll_ends(index, fails=random.random() < 0.15)
    elif len(machine.app.polls) < 4 and random.random() < 0.4:
        machine.the_app_polls(random.randint(1, 2))
    else:
        something_happens(machine, random, index)


def something_happens(machine: OrderPollerMachine, random: Random, index: int) -> None:
    match random.randrange(10):
        case 0 | 1 | 2:
            machine.an_order_starts_or_changes(random.choice(KEYS), random.choice(PARTS), is_reported=index < 8)
        case 3 if machine.state.orders:
            machine.an_order_ends(index, is_reported=index < 8)
        case 4:
            machine.services_go_down({one for one in SERVICES if random.random() < 0.3})
        case 5:
            machine.the_rider_pulls_to_refresh(random.choice([*SERVICES[:2], None]))
        case 6 if machine.tasks:
            machine.a_task_is_cancelled(index)
        case 7:
            machine.what_is_under_way_has_a_response_that_has_not_arrived()
        case 8:
            machine.every_report_is_through()
