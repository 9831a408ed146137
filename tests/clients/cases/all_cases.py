"""At least one call of every RPC."""

from __future__ import annotations

from typing import Any

from tests.clients.cases import (
    admin_eulas,
    eulas,
    families,
    order_state,
    orders,
    personal_states,
    rides,
    toll_roads,
    user_data,
)
from tests.clients.cases.case import Case

CASES: list[Case] = [
    *toll_roads.CASES,
    *orders.CASES,
    *admin_eulas.CASES,
    *eulas.CASES,
    *rides.CASES,
    *families.CASES,
    *personal_states.CASES,
    *order_state.CASES,
    *user_data.CASES,
]


def example_of(rpc: str) -> dict[str, Any]:
    """Returns arguments with which an RPC can be called."""
    return next(case.arguments for case in CASES if case.rpc == rpc)
