"""The cases. A new one is a function that starts its servers and yields the contenders, and an entry in `CASES`."""

from __future__ import annotations

from . import api_proxy, eulas, gateway, order_state, toll_roads, user_state

CASES = {**toll_roads.CASES, **eulas.CASES, **gateway.CASES, **order_state.CASES, **api_proxy.CASES, **user_state.CASES}
