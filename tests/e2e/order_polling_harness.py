"""Riders' orders in three services, the apps that poll them through the gateway, and what can go wrong in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from ridehail_clients import (
    AsyncLaunchClient,
    AsyncOrderCoreClient,
    AsyncOrderPoller,
    AsyncOrderProviderClient,
    AsyncOrderStateClient,
    AsyncPassengerOrderStateClient,
    MlutpOrdersState,
    PartInvalid,
    PollingPolicy,
    ServiceError,
)
from ridehail_servers.chassis.tickets import TicketIssuer
from tests.e2e.order_providers import LIMITS, PROVIDERS, Key, OrderProviders
from tests.support.config_edits import edit
from tests.support.fault_proxy import Fault, FaultProxy, Forward, down, fault_proxy, hanging, late
from tests.support.harness import Harness, behind_a_gateway
from tests.support.ports import unused_port
from tests.support.suite_in_process import SuiteInProcess, suite_in_process

RETRY_S = 5
_LIST = "ListActiveOrders"


async def garbage(_forward: Forward) -> bytes:
    """A response that cannot be parsed."""
    return b"\xff\xff\xff"


FAULTS: tuple[Fault, ...] = (down, hanging, garbage, late)


@dataclass
class Costs:
    """What polling costs, and what fetching everything each time would have cost."""

    polls: int = 0
    fetches: int = 0
    full_fetches: int = 0


@dataclass
class App:
    """One phone of the rider."""

    launch: AsyncLaunchClient
    state: AsyncPassengerOrderStateClient
    providers: OrderProviders
    random: Random
    costs: Costs
    failing: float = 0.0
    invalid: int = 0
    counted: list[str] = field(default_factory=list)
    poller: AsyncOrderPoller[str] = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Ends the app and starts it again; fetched parts stay."""
        cards = self.poller.cards if hasattr(self, "poller") else ()
        self.poller = AsyncOrderPoller(
            self.state.poll_orders_state,
            self.fetch,
            cards=cards,
            on_invalid_part=lambda service, part, reason: self.counted.append(f"{service} {part} {reason}"),
        )

    async def fetch(self, service: str, orderid: str, part_name: str, _policy: PollingPolicy | None) -> str:
        """Fetches the part's version from its service, or fails."""
        self.costs.fetches += 1
        version = self.providers.truth.get((service, orderid), {}).get(part_name, "gone")
        await asyncio.sleep(0)
        if self.random.random() < self.failing:
            if self.random.random() < 0.5:
                self.invalid += 1
                raise PartInvalid("no_fields")
            raise OSError("scripted")
        return version

    async def step(self) -> None:
        """Polls; launches before if necessary; sometimes restarts or refreshes meanwhile."""
        if self.random.random() < 0.05:
            self.restart()
        if not self.poller.is_started:
            await self.poller.start(await self._launch())
        elif self.random.random() < 0.1:
            self.poller.force()
            await asyncio.gather(self.poll(), self.poll())
        else:
            await self.poll()

    async def poll(self) -> None:
        self.costs.polls += 1
        self.costs.full_fetches += sum(len(parts) for parts in self.providers.truth.values())
        with suppress(ServiceError):  # as in `run`, which would pause now
            await self.poller.poll_once()

    @property
    def shown(self) -> dict[Key, dict[str, str]]:
        """The parts of each order that the app shows."""
        return {
            (card.service, card.orderid): {name: part.content for name, part in card.parts.items()}
            for card in self.poller.cards
        }

    async def _launch(self) -> MlutpOrdersState | None:
        try:
            answer = await self.launch.launch(
                supported_services=list(PROVIDERS), known_orders=self.poller.known_orders, timeout=5
            )
        except ServiceError:
            return None
        return answer.mlutp_orders_state


@dataclass
class PollingHarness:
    """The gateway, what stands behind it, and ways to break that.

    Attributes:
        faults: Stand before the services that keep orders.
        passed: How far the clock of all services is ahead.
    """

    harness: Harness
    faults: Mapping[str, FaultProxy]
    passed: list[timedelta]
    front: Front
    reporters: Mapping[str, AsyncOrderStateClient]
    core: AsyncOrderCoreClient
    others: Mapping[str, AsyncOrderProviderClient]

    @property
    def provider_calls(self) -> int:
        """The number of calls to providers."""
        return sum(call.method == _LIST for one in self.faults.values() for call in one.calls)

    def pass_time(self, seconds: float) -> None:
        """Sets all clocks forward."""
        self.passed[0] += timedelta(seconds=seconds)

    def break_something(self, random: Random) -> None:
        """Makes each service fail, or not, until the next call."""
        self.heal()
        for proxy in self.faults.values():
            if fault := random.choice([None, None, *FAULTS]):
                proxy.fail(fault, _LIST)

    def heal(self) -> None:
        """Makes all services respond again."""
        for proxy in self.faults.values():
            proxy.heal()

    def providers(self, uid: str, random: Random) -> OrderProviders:
        """The providers, restricted to one rider's orders."""
        return OrderProviders(self.core, self.others, uid, random)

    @asynccontextmanager
    async def app(self, providers: OrderProviders, random: Random, costs: Costs) -> AsyncIterator[App]:
        """A phone behind the gateway."""
        token = self.harness.session(uid=providers.uid, now=self.front.clock())["authorization"].removeprefix("Bearer ")
        target = f"127.0.0.1:{self.harness.gateway.public_port}"
        async with (
            AsyncLaunchClient(target, session_token=token) as launch,
            AsyncPassengerOrderStateClient(target, session_token=token) as state,
        ):
            yield App(launch, state, providers, random, costs)


@dataclass
class Front:
    """order_state and the other services behind the gateway; may be restarted, at the same address."""

    database_url: str
    keys_dir: Path
    config_dir: Path
    addresses: dict[str, str]
    port: int
    passed: list[timedelta]
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    starts: int = 0

    def clock(self) -> datetime:
        return datetime.now(UTC) + self.passed[0]

    async def start(self) -> SuiteInProcess:
        """Starts it; every other time launch works in the other way."""
        edit(self.config_dir / "api_proxy.yaml", {"launch": {"orders_state": f"stage{self.starts % 2 + 1}"}})
        self.starts += 1
        running = suite_in_process(
            database_url=self.database_url,
            keys_dir=self.keys_dir,
            config_dir=self.config_dir,
            services=("order-state", "api-proxy", "eulas", "toll-roads", "passenger-authorizer"),
            addresses=self.addresses,
            clock=self.clock,
            port=self.port,
        )
        return await self.stack.enter_async_context(running)

    async def stop(self) -> None:
        await self.stack.aclose()
        self.stack = AsyncExitStack()


@asynccontextmanager
async def polling_harness(
    *, database_url: str, keys_dir: Path, config_dir: Path, folder: Path
) -> AsyncIterator[PollingHarness]:
    passed = [timedelta(0)]
    edit(config_dir / "order_state.yaml", {"retry_interval_s": RETRY_S, "max_active_orders": LIMITS})
    async with AsyncExitStack() as stack:
        kept = await stack.enter_async_context(
            suite_in_process(
                database_url=database_url,
                keys_dir=keys_dir,
                config_dir=config_dir,
                services=tuple(PROVIDERS.values()),
                clock=lambda: datetime.now(UTC) + passed[0],
            )
        )
        faults = {
            name: await stack.enter_async_context(fault_proxy(lambda: kept.address)) for name in PROVIDERS.values()
        }
        addresses = {name: proxy.address for name, proxy in faults.items()}
        port = unused_port()
        front = Front(database_url, keys_dir, config_dir, addresses, port, passed)
        suite = await front.start()
        stack.push_async_callback(front.stop)
        harness = await stack.enter_async_context(behind_a_gateway(suite, folder))
        admin = TicketIssuer(kept.keys, "admin", clock=front.clock)
        yield PollingHarness(
            harness=harness,
            faults=faults,
            passed=passed,
            front=front,
            reporters={
                service: await stack.enter_async_context(
                    AsyncOrderStateClient(suite.address, ticket=TicketIssuer(kept.keys, server, clock=front.clock))
                )
                for service, server in PROVIDERS.items()
            },
            core=await stack.enter_async_context(AsyncOrderCoreClient(kept.address, ticket=admin)),
            others={
                service: await stack.enter_async_context(
                    AsyncOrderProviderClient(kept.address, service=server, ticket=admin)
                )
                for service, server in PROVIDERS.items()
                if service != "taxi"
            },
        )
