"""family and route_sharing by a clock that the test sets, and all who call them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import LiteralString

import grpc
import psycopg

from ridehail.routesharing.v1 import route_sharing_api_pb2 as api
from ridehail_clients import (
    AsyncFamilyClient,
    AsyncRouteSharingClient,
    FamilyAdmin,
    FamilyMember,
    FamilyState,
    ServiceError,
    SharedRide,
    SharingInfo,
)
from ridehail_servers.chassis.passenger import Identity
from ridehail_servers.chassis.tasks import Task
from ridehail_servers.chassis.tickets import TicketIssuer
from tests.family.riders import path_of, request_of
from tests.support.calls import Metadata, call_patiently
from tests.support.suite_in_process import SuiteInProcess, suite_in_process
from tests.support.waiting import until

GET_INFO = "/ridehail.routesharing.v1.PassengerRouteSharingService/GetInfo"
T0 = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
TABLES = ("sharing_keys", "phone_ids", "family_rides", "families", "family_members", "insert_order_requests")


@dataclass
class Harness:
    """A running suite, its clock, and clients of everybody who may call."""

    suite: SuiteInProcess
    channel: grpc.aio.Channel
    clock: list[datetime]
    family: AsyncFamilyClient
    api_proxy: AsyncRouteSharingClient
    processing: AsyncRouteSharingClient
    inapp: AsyncRouteSharingClient
    publisher: AsyncRouteSharingClient
    reader: psycopg.AsyncConnection
    family_id: str = ""

    def later(self, **time: int) -> None:
        self.clock[0] += timedelta(**time)

    async def rows(self, query: LiteralString, *parameters: object) -> list[tuple[object, ...]]:
        """Returns what a query finds, as the database's owner."""
        return await (await self.reader.execute(query, parameters)).fetchall()

    def ticket(self, source: str, passenger: Identity | None = None, *, destination: str = "route-sharing") -> Metadata:
        issuer = TicketIssuer(self.suite.keys, source, clock=lambda: self.clock[0])
        return (("x-ya-service-ticket", issuer.issue(destination, passenger=passenger)),)

    async def as_passenger(self, method: str, uid: str, phone_id: str = "", **fields: str) -> None:
        """Calls a method of the passenger's own family; raises `ServiceError`."""
        metadata = self.ticket("gateway", Identity(uid, phone_id=phone_id), destination="family")
        await call_patiently(self.channel, path_of(method), request_of(method, **fields), metadata=metadata)

    async def make_family(self, admin: FamilyAdmin, phone_id: str, *members: FamilyMember) -> str:
        family_id = await self.family.create_family(admin=admin, phone_id=phone_id)
        for member in members:
            await self.family.add_member(family_id=family_id, member=member)
        return family_id

    async def share(self, on: bool, *, key: str = "key", order: str = "order", rider: str = "1") -> str:
        """Sets the toggle; returns OK or the reason why not."""
        try:
            await self.api_proxy.share_with_family(
                order_id=order, sharing_key=key, share_ride_with_family=on, yandex_uid=rider
            )
        except ServiceError as error:
            return error.reason
        return "OK"

    async def insert(self, *phone_ids: str, key: str = "key", order: str = "order", rider: str | None = None) -> None:
        """Reports an order, and has the task for it run at once."""
        await self.processing.enqueue_insert_order(
            order_id=order, sharing_key=key, phone_ids=phone_ids, yandex_uid=rider
        )
        await self.run_tasks()

    def task(self, service: str, name: str) -> Task:
        built = next(one for definition, one in self.suite.built.services if definition.name == service)
        return next(task for task in built.tasks if task.name == name)

    async def settle(self) -> None:
        """Publishes every family that has changed, as its task would."""
        changed = "SELECT family_number FROM family.families WHERE unpublished_since IS NOT NULL"
        for row in await self.rows(changed):
            await self.task("family", "family_publish").run(int(str(row[0])))

    async def follow(self, state: FamilyState) -> None:
        """Publishes a family by hand, as it may come again from a worker that was slow."""
        await self.publisher.put_family(state=state)

    async def run_tasks(self) -> None:
        """Runs the task for every open request; refusals stay in the table."""
        task = self.task("route-sharing", "insert_order")
        open_requests = "SELECT request_id FROM order_route_sharing.insert_order_requests WHERE refused_because IS NULL"
        for row in await self.rows(f"{open_requests} ORDER BY 1"):
            try:
                await task.run(int(str(row[0])))
            except Exception as error:
                if type(error).__name__ != "TaskRefused":
                    raise

    async def idle(self) -> None:
        """Waits until a worker has run all tasks that wait."""

        async def is_idle() -> bool:
            return not await self.rows(
                """
                SELECT 1 FROM order_route_sharing.procrastinate_jobs
                WHERE status IN ('todo', 'doing') AND task_name = 'insert_order'
                UNION ALL
                SELECT 1 FROM family.procrastinate_jobs
                WHERE status IN ('todo', 'doing') AND task_name = 'family_publish'
                """
            )

        await until(is_idle)

    async def work_off(self) -> None:
        """Has a worker run all tasks that wait; once a test."""
        async with self.suite.worker():
            await self.idle()

    async def info(self, key: str = "key") -> SharingInfo:
        return await self.inapp.get_sharing_info(sharing_key=key)

    async def phones(self, key: str = "key") -> tuple[str, ...]:
        return (await self.info(key)).phone_ids

    def passenger(self, uid: str, phone_id: str = "", accept_language: str = "") -> Metadata:
        """Returns the metadata of a passenger's call, as the gateway makes it."""
        language = (("accept-language", accept_language),) if accept_language else ()
        return (*self.ticket("gateway", Identity(uid, phone_id=phone_id)), *language)

    async def watch(
        self, key: str = "key", *, uid: str = "stranger", phone_id: str = "", accept_language: str = ""
    ) -> SharedRide | str:
        """Returns what a passenger is shown, or the reason why nothing."""
        request = api.GetInfoRequest(sharing_key=key)
        try:
            response = await call_patiently(
                self.channel, GET_INFO, request, metadata=self.passenger(uid, phone_id, accept_language)
            )
        except ServiceError as error:
            return error.reason
        shown = api.GetInfoResponse.FromString(response)
        return SharedRide(shown.order_id, shown.popup_title)

    async def tables(self) -> dict[str, list[tuple[object, ...]]]:
        """Returns everything that is stored of rides."""
        return {table: await self.rows(f"SELECT * FROM order_route_sharing.{table} ORDER BY 1, 2") for table in TABLES}


@asynccontextmanager
async def harness(
    *,
    database_url: str,
    keys_dir: Path,
    config_dir: Path,
    services: Sequence[str] = ("family", "route-sharing"),
    addresses: dict[str, str] | None = None,
) -> AsyncIterator[Harness]:
    """Runs both services for the length of the block."""
    clock = [T0]
    async with AsyncExitStack() as stack:
        suite = await stack.enter_async_context(
            suite_in_process(
                database_url=database_url,
                keys_dir=keys_dir,
                config_dir=config_dir,
                services=services,
                addresses=addresses,
                clock=lambda: clock[0],
            )
        )

        async def route_sharing(source: str) -> AsyncRouteSharingClient:
            ticket = TicketIssuer(suite.keys, source, clock=lambda: clock[0])
            client = AsyncRouteSharingClient(suite.address, ticket=ticket.issue, attempt_timeout=30.0)
            return await stack.enter_async_context(client)

        admin = TicketIssuer(suite.keys, "admin", clock=lambda: clock[0])
        yield Harness(
            suite=suite,
            channel=await stack.enter_async_context(suite.channel()),
            clock=clock,
            family=await stack.enter_async_context(
                AsyncFamilyClient(suite.address, ticket=admin.issue, attempt_timeout=30.0)
            ),
            api_proxy=await route_sharing("api-proxy"),
            processing=await route_sharing("processing"),
            inapp=await route_sharing("inapp-communications"),
            publisher=await route_sharing("family"),
            reader=await stack.enter_async_context(
                await psycopg.AsyncConnection.connect(database_url, autocommit=True)
            ),
        )
