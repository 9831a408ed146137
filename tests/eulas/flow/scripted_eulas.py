"""PassengerEulasService in memory, with scripted faults; and flows of apps that call it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message

from ridehail.eulas.v1 import eulas_api_pb2 as eulas
from ridehail.eulas.v1.eulas_pb2 import Eula
from ridehail_clients import RetryPolicy
from tests.clients.flavours import Flavour
from tests.clients.scripted_server import Reply, ScriptedServer, fail, info, violation

OUTAGE = fail(grpc.StatusCode.UNAVAILABLE)
EXPIRED = fail(grpc.StatusCode.UNAUTHENTICATED, info("SESSION_EXPIRED"))
ONCE = RetryPolicy(attempts=1)
# Where every transaction is flushed to the disk, files in memory save most of the time.
MEMORY = Path("/dev/shm")
FOLDERS = str(MEMORY) if MEMORY.is_dir() else None


@dataclass
class ScriptedEulas:
    """A `behaviour` of the scripted server. A session token is the passenger's name.

    Attributes:
        configured: The agreements, or None for any that is requested.
        not_rejectable: Those that must not be rejected.
        invalid: Those whose id the contract refuses.
        names_the_refused: Whether errors name the refused decision.
        decisions: The last ones, by passenger and agreement.
        arrived: Every accepted decision, in the order of arrival.
        before_saving: The errors of the next saves before anything is saved, or None for none.
        after_saving: The errors of the next saves after all is saved, or None for none.
        before_listing: The errors of the next lists, or None for none.
    """

    configured: set[str] | None = None
    not_rejectable: set[str] = field(default_factory=set)
    invalid: set[str] = field(default_factory=set)
    names_the_refused: bool = True
    decisions: dict[str, dict[str, str]] = field(default_factory=dict)
    arrived: list[tuple[str, str, str]] = field(default_factory=list)
    before_saving: deque[Reply | None] = field(default_factory=deque)
    after_saving: deque[Reply | None] = field(default_factory=deque)
    before_listing: deque[Reply | None] = field(default_factory=deque)

    def __call__(self, request: Message, context: grpc.ServicerContext) -> Message:
        metadata: Any = context.invocation_metadata()
        passenger = str(dict(metadata)["authorization"]).removeprefix("Bearer ")
        if isinstance(request, eulas.PassengerEulasServiceListEulasRequest):
            return self._list(passenger, request, context)
        assert isinstance(request, eulas.PassengerEulasServiceSaveEulasRequest)
        return self._save(passenger, request, context)

    def _list(
        self, passenger: str, request: eulas.PassengerEulasServiceListEulasRequest, context: grpc.ServicerContext
    ) -> Message:
        _play(self.before_listing, context)
        signed = self.decisions.get(passenger, {})
        if request.filter == "signed":
            listed = [Eula(eula_id=one, status=status) for one, status in sorted(signed.items())]
        else:
            listed = [Eula(eula_id=one, status="unknown") for one in sorted((self.configured or set()) - set(signed))]
        return eulas.PassengerEulasServiceListEulasResponse(eulas=listed)

    def _save(
        self, passenger: str, request: eulas.PassengerEulasServiceSaveEulasRequest, context: grpc.ServicerContext
    ) -> Message:
        _play(self.before_saving, context)
        for number, decision in enumerate(request.eulas):
            refusal = self.refusal(decision.eula_id, decision.status, number)
            if refusal is not None:
                refusal(context)
        for decision in request.eulas:
            self.decisions.setdefault(passenger, {})[decision.eula_id] = decision.status
            self.arrived.append((passenger, decision.eula_id, decision.status))
        _play(self.after_saving, context)
        return eulas.PassengerEulasServiceSaveEulasResponse(refresh=["routestats"])

    def refusal(self, eula_id: str, status: str, number: int = 0) -> Reply | None:
        """Returns the error with which a decision is refused, or None."""
        named = {"eula_id": eula_id} if self.names_the_refused else {}
        if eula_id in self.invalid:
            field = f"eulas[{number}].eula_id" if self.names_the_refused else "eulas"
            broken = violation(field, "must be printable", "string.id")
            return fail(grpc.StatusCode.INVALID_ARGUMENT, info("INVALID_REQUEST"), broken)
        if self.configured is not None and eula_id not in self.configured:
            return fail(grpc.StatusCode.NOT_FOUND, info("EULA_NOT_FOUND", **named))
        if status == "rejected" and eula_id in self.not_rejectable:
            return fail(grpc.StatusCode.FAILED_PRECONDITION, info("EULA_NOT_REJECTABLE", **named))
        return None


def _play(faults: deque[Reply | None], context: grpc.ServicerContext) -> None:
    fault = faults.popleft() if faults else None
    if fault is not None:
        fault(context)


class FakeTime:
    """A clock that only pauses move."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def async_sleep(self, seconds: float) -> None:
        self.sleep(seconds)
        await asyncio.sleep(0)


@dataclass(frozen=True)
class App:
    """A flow of one account, called the same way for both flavours."""

    flow: Any  # the classes of both flavours have no common type
    is_async: bool

    async def __call__(self, method: str, *args: Any, **kwargs: Any) -> Any:  # whatever the method returns
        calling: Callable[..., Any] = getattr(self.flow, method)
        return await (calling(*args, **kwargs) if self.is_async else asyncio.to_thread(calling, *args, **kwargs))


@asynccontextmanager
async def running_app(
    flavour: Flavour,
    server: ScriptedServer,
    *,
    file: Path,
    account: str = "anna",
    time: FakeTime,
    target: Any = None,
    **options: Any,
) -> AsyncIterator[App]:
    """Runs an app for the length of the block, which calls the server in memory or at a target."""
    is_async = flavour.name == "asyncio"
    client = flavour.client_class("PassengerEulasClient")(
        target or flavour.in_memory(server), session_token=account, retry=ONCE, attempt_timeout=30
    )
    sleep = time.async_sleep if is_async else time.sleep
    flow = flavour.client_class("EulasFlow")(
        client, file, account=account, **{"clock": time.clock, "random": lambda: 1.0, "sleep": sleep} | options
    )
    try:
        yield App(flow, is_async)
    finally:
        await client.close() if is_async else client.close()


Start = Callable[..., AbstractAsyncContextManager[App]]
"""Starts an app, see `running_app`."""
