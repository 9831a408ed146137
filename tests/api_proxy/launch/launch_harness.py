"""A rider with orders in three services, real servers for all of them, and something that fails calls in between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from google.protobuf.json_format import ParseDict

from ridehail.orderstate.v1 import order_state_api_pb2 as state_api
from ridehail_clients import (
    AsyncEulasClient,
    AsyncOrderCoreClient,
    AsyncOrderProviderClient,
    AsyncOrderStateClient,
    EulaDecision,
    EulaState,
)
from ridehail_servers.chassis.clock import system_clock
from tests.api_proxy.proxy import Proxy, configure, flag, json_form, serving, write_flags
from tests.support.calls import call
from tests.support.config_edits import edit
from tests.support.fault_proxy import Fault, FaultProxy, fault_proxy
from tests.support.suite_in_process import SuiteInProcess, suite_in_process

STAGES = ("stage1", "stage2")
DEPENDENCIES = ("order-core", "eats-orders", "grocery-orders", "order-state", "eulas")
KEEPERS = {"taxi": "order-core", "eats": "eats-orders", "grocery": "grocery-orders"}
# Long enough for a busy machine; in all less than launch itself may take.
PROVIDERS_MS, ORDER_STATE_MS, KEEPERS_MS = 700, 850, 550
RETRY_S = 5
POLL = "/ridehail.orderstate.v1.PassengerOrderStateService/PollOrdersState"

# service -> order -> status and the version of each part, the oldest first.
TRUTH: Mapping[str, Mapping[str, tuple[str, dict[str, str]]]] = {
    "taxi": {
        "known": ("driving", {"fast_info": "2", "part2": "5"}),
        "new": ("searching", {"fast_info": "1"}),
    },
    "eats": {"known": ("cooking", {"full_info": "3"})},
    "grocery": {"new": ("packing", {})},
}
DETAILS = {"seen": "by the service"}
GONE = "gone"


def known_orders() -> list[dict[str, Any]]:
    """Returns the orders as the app knows them; one has ended since, and one is of a service that does not exist."""
    return [
        {
            "orderid": "known",
            "service": "taxi",
            "status": "waiting",
            "tags": {"fast_info": "1", "part2": "5", "own": "1"},
            "details": {"seen": "by the app"},
            "card": "red",
        },
        {"orderid": "known", "service": "market", "status": "sold", "tags": {"goods": "1"}, "force": True},
        {"orderid": "known", "service": "eats", "status": "ordered", "tags": {"full_info": "3"}},
        {"orderid": GONE, "service": "taxi", "status": "waiting", "tags": {"fast_info": "9"}},
    ]


@dataclass
class LaunchHarness:
    """Running servers.

    Attributes:
        suite: All but api_proxy.
        proxies: An api_proxy for each stage.
        faults: Before each dependency.
        clock: That of the suite.
    """

    suite: SuiteInProcess
    proxies: Mapping[str, Proxy]
    faults: Mapping[str, FaultProxy]
    clock: list[datetime]

    def fail(self, faults: Mapping[str, Fault], *, request_id: str) -> None:
        """Has dependencies fail the calls that are made for one request."""
        for dependency, fault in faults.items():
            self.faults[dependency].fail(fault, request_id=request_id)

    def heal(self) -> None:
        """Ends all faults, and lets as much time pass as polls wait before a service is called again."""
        for one in self.faults.values():
            one.heal()
        self.clock[0] += timedelta(seconds=RETRY_S + 1)

    async def launch(self, stage: str, uid: str, *, request_id: str, known: Sequence[Any] = ()) -> dict[str, Any]:
        """Calls Launch."""
        body = {"supported_services": [*KEEPERS, "etc..."], "known_orders": list(known)}
        return await self.proxies[stage].launch(body, uid=uid, x_request_id=request_id)

    async def poll(self, uid: str, known: Sequence[Any], tags: Mapping[str, str]) -> dict[str, Any]:
        """Polls as the app does after its start."""
        request = ParseDict({"known_orders": known, "tags": tags}, state_api.PollOrdersStateRequest())
        metadata = self.suite.metadata("gateway", "order-state", uid)
        async with self.suite.channel() as channel:
            encoded = await call(channel, POLL, request, metadata=metadata)
        return json_form(state_api.PollOrdersStateResponse.FromString(encoded))

    async def settle(self, uid: str) -> None:
        """Gives a rider the orders, has them reported, and has the rider accept an agreement."""
        admin = self.suite.ticket("admin")
        async with AsyncEulasClient(self.suite.address, ticket=admin) as eulas:
            await eulas.save_eulas(yandex_uid=uid, eulas=[EulaDecision("sdc", EulaState.ACCEPTED)])
        for service, orders in TRUTH.items():
            for orderid, (status, parts) in orders.items():
                await self._put(service, f"{uid}-{orderid}", uid, status, parts)
        async with AsyncOrderStateClient(self.suite.address, ticket=admin) as state:
            for service in KEEPERS:
                for order in (await state.get_service_orders_state(service=service, yandex_uid=uid)).orders:
                    await state.report_order_parts(
                        service=service,
                        orderid=order.orderid,
                        yandex_uid=uid,
                        sequence=order.sequence,
                        parts=order.parts,
                    )
            await state.report_order_parts(
                service="taxi", orderid=f"{uid}-{GONE}", yandex_uid=uid, sequence=1, finished=True
            )

    async def _put(self, service: str, orderid: str, uid: str, status: str, parts: dict[str, str]) -> None:
        admin = self.suite.ticket("admin")
        if service == "taxi":
            document = {"order": {"status": status}, "parts": parts, "details": DETAILS}
            async with AsyncOrderCoreClient(self.suite.address, ticket=admin) as core:
                await core.put_order(order_id=orderid, yandex_uid=uid, document=document)
            return
        async with AsyncOrderProviderClient(self.suite.address, service=KEEPERS[service], ticket=admin) as provider:
            await provider.put_order(orderid=orderid, yandex_uid=uid, status=status, parts=parts, details=DETAILS)


@asynccontextmanager
async def launch_harness(
    *, database_url: str, keys_dir: Path, config_dirs: Mapping[str, Path], in_fallback: str
) -> AsyncIterator[LaunchHarness]:
    """Runs all servers for the length of the block.

    Args:
        database_url: Of the suite.
        keys_dir: Key rings.
        config_dirs: By stage.
        in_fallback: The rider who is in the experiment of the fallback.
    """
    clock = [system_clock()]
    targeting = {"if": [{"==": [{"var": "targetingKey"}, in_fallback]}, "on"]}
    for stage, folder in config_dirs.items():
        timeouts = {"provider_timeout_ms": PROVIDERS_MS, "order_state_timeout_ms": ORDER_STATE_MS}
        configure(folder, {}, timeout_ms=KEEPERS_MS, launch={"orders_state": stage, **timeouts})
        edit(folder / "order_state.yaml", {"provider_timeout_ms": KEEPERS_MS, "retry_interval_s": RETRY_S})
        write_flags(folder, launch_orders_state_fallback=flag(default="off", targeting=targeting))
    async with AsyncExitStack() as stack:
        suites: list[SuiteInProcess] = []
        faults = {
            name: await stack.enter_async_context(fault_proxy(lambda: suites[0].address)) for name in DEPENDENCIES
        }
        addresses = {name: one.address for name, one in faults.items()}
        running = suite_in_process(
            database_url=database_url,
            keys_dir=keys_dir,
            config_dir=config_dirs[STAGES[0]],
            services=DEPENDENCIES,
            addresses=addresses,
            clock=lambda: clock[0],
        )
        suites.append(await stack.enter_async_context(running))
        proxies = {
            stage: await stack.enter_async_context(
                serving(keys_dir=keys_dir, config_dir=folder, eulas=addresses["eulas"], dependencies=addresses)
            )
            for stage, folder in config_dirs.items()
        }
        yield LaunchHarness(suites[0], proxies, faults, clock)
