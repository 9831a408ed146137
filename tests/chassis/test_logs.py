"""What the logs and the metrics tell, and what they never do."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib import metadata as distributions
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from envoy.service.auth.v3 import external_auth_pb2
from google.protobuf.struct_pb2 import Struct
from prometheus_client import REGISTRY, generate_latest

from ridehail.ordercore.v1 import order_core_api_pb2 as order_core
from ridehail.tollroads.v1 import toll_roads_api_pb2 as toll_roads
from ridehail_clients import ServiceError
from ridehail_kernel import call_context
from ridehail_servers import suite
from ridehail_servers.chassis import logs, tokens
from ridehail_servers.chassis.keys import KeyRing
from tests.support.calls import Metadata, call, failure_of
from tests.support.config_edits import edit
from tests.support.log_capture import LogCapture, captured_logs
from tests.support.suite_in_process import SuiteInProcess
from tests.support.waiting import LIMIT_S, until

SAVE_OFFER = "/ridehail.tollroads.v1.TollRoadsService/SaveOffer"
RETRIEVE_ORDER = "/ridehail.tollroads.v1.TollRoadsService/RetrieveOrder"
ENQUEUE = "/ridehail.tollroads.v1.TollRoadsService/EnqueueOrderSave"
SWITCH_ROAD = "/ridehail.tollroads.v1.PassengerTollRoadsService/SwitchRoad"
PUT_ORDER = "/ridehail.ordercore.v1.OrderCoreService/PutOrder"
SET_FIELDS = "/ridehail.ordercore.v1.OrderCoreService/SetOrderFields"
GET_FIELDS = "/ridehail.ordercore.v1.OrderCoreService/GetOrderFields"
LIST_ACTIVE = "/ridehail.ordercore.v1.OrderCoreService/ListActiveOrders"
CHECK = "/envoy.service.auth.v3.Authorization/Check"

UID = "uidcanary4000000001"
PHONE = "phonecanary79990001122"
USER = "usercanary0001"
NAME = "namecanary"
PERSONAL = (UID, PHONE, USER, NAME)


@pytest.fixture(scope="module")
def module_services() -> Sequence[str]:
    return ("toll-roads", "order-core", "passenger-authorizer")


class Town:
    """Calls everything, well and badly, with personal values in all places that take them."""

    def __init__(self, suite: SuiteInProcess, keys_dir: Path) -> None:
        self.suite = suite
        self.sessions = KeyRing(keys_dir / "sessions")
        self.gateway_key = (keys_dir / "gateway.key").read_text().strip()
        self.secrets = [self.gateway_key]

    def ticket(self, source: str, destination: str) -> Metadata:
        metadata = self.suite.metadata(source, destination, UID, user_id=USER, phone_id=PHONE)
        self.secrets.append(metadata[0][1])
        return metadata

    def session(self, *, valid_for: timedelta) -> str:
        claims = {"sub": UID, "user_id": USER, "phone_id": PHONE, "family_role": "owner"}
        claims |= {"iss": "ridehail", "aud": "ridehail-passengers", "sid": "sid"}
        token = tokens.sign(self.sessions, claims, now=datetime.now(UTC), ttl=valid_for)
        self.secrets.append(token)
        return token

    async def outcome(self, channel: grpc.aio.Channel, path: str, request: object, metadata: Metadata) -> str:
        passenger = (("x-yandex-uid", UID), ("x-yataxi-phone-id", PHONE), ("x-yataxi-userid", USER))
        try:
            await call(channel, path, request, metadata=(*metadata, *passenger))  # type: ignore[arg-type]  # or bytes
        except ServiceError as error:
            return error.reason
        return "OK"

    async def good_calls(self, channel: grpc.aio.Channel) -> set[str]:
        document = Struct()
        document.update({"order": {"user_id": USER, "phone": PHONE, "status": "driving"}, "details": {"name": NAME}})
        authorization = external_auth_pb2.CheckRequest()
        authorization.attributes.request.http.path = SWITCH_ROAD
        authorization.attributes.request.http.headers["authorization"] = (
            f"Bearer {self.session(valid_for=timedelta(minutes=1))}"
        )
        admin = self.ticket("admin", "order-core")
        requests: list[tuple[str, object, Metadata]] = [
            (SAVE_OFFER, toll_roads.SaveOfferRequest(offer_id=NAME), self.ticket("routestats", "toll-roads")),
            (ENQUEUE, self.save("order-1", NAME), self.ticket("processing", "toll-roads")),
            (PUT_ORDER, order_core.PutOrderRequest(order_id="order-1", yandex_uid=UID, document=document), admin),
            (GET_FIELDS, order_core.GetOrderFieldsRequest(order_id="order-1", fields=["order"]), admin),
            (LIST_ACTIVE, order_core.ListActiveOrdersRequest(yandex_uid=UID), admin),
            (CHECK, authorization, (("x-ya-gateway-key", self.gateway_key),)),
        ]
        return {await self.outcome(channel, *request) for request in requests}

    async def bad_calls(self, channel: grpc.aio.Channel) -> set[str]:
        toll, admin = self.ticket("processing", "toll-roads"), self.ticket("admin", "order-core")
        authorization = external_auth_pb2.CheckRequest()
        authorization.attributes.request.http.path = f"/{UID}/{PHONE}"
        authorization.attributes.request.http.headers["authorization"] = f"Bearer {NAME}"
        mismatch = order_core.SetOrderFieldsRequest(order_id="order-1")
        mismatch.increment["order.phone"] = 1
        unknown = order_core.SetOrderFieldsRequest(order_id="order-1", unset=[f"{UID} {PHONE}"])
        requests: list[tuple[str, object, Metadata]] = [
            (ENQUEUE, self.save("order-2\n", NAME), toll),
            (ENQUEUE, self.save("order-2", f"{NAME}\0"), toll),
            (ENQUEUE, UID.encode(), toll),
            (ENQUEUE, self.save("order-2", NAME), self.ticket("admin", "toll-roads")),
            (ENQUEUE, self.save("order-2", NAME), ()),
            (ENQUEUE, self.save("order-2", NAME), (("x-ya-service-ticket", f"{UID}.{PHONE}.{NAME}"),)),
            (ENQUEUE, self.save("order-2", NAME), self.ticket("processing", "order-core")),
            (SWITCH_ROAD, toll_roads.SwitchRoadRequest(order_id=UID), self.ticket("gateway", "toll-roads")),
            (SWITCH_ROAD, toll_roads.SwitchRoadRequest(order_id=UID), self.suite.metadata("gateway", "toll-roads")),
            (SET_FIELDS, mismatch, admin),
            (SET_FIELDS, unknown, admin),
            (GET_FIELDS, order_core.GetOrderFieldsRequest(order_id="nobody's", fields=["order"]), admin),
            (CHECK, authorization, (("x-ya-gateway-key", self.gateway_key),)),
            (CHECK, authorization, (("x-ya-gateway-key", NAME),)),
        ]
        return {await self.outcome(channel, *request) for request in requests}

    @staticmethod
    def save(order_id: str, offer_id: str) -> toll_roads.EnqueueOrderSaveRequest:
        request = toll_roads.EnqueueOrderSaveRequest(
            order_id=order_id, offer_id=offer_id, yandex_uid=UID, can_switch_road=False, user_chose_toll_road=True
        )
        request.created.FromDatetime(datetime(2026, 11, 20, tzinfo=UTC))
        return request

    async def no_task_is_open(self) -> bool:
        return not await self.suite.rows(
            "SELECT 1 FROM toll_roads.procrastinate_jobs WHERE status IN ('todo', 'doing')"
        )


async def test_nothing_personal_and_no_secret_is_logged_or_measured(
    running_suite: SuiteInProcess, keys_dir: Path
) -> None:
    town = Town(running_suite, keys_dir)
    with captured_logs(level="DEBUG") as log:
        async with running_suite.channel() as channel, running_suite.worker():
            # Calls and tasks that go well ...
            assert await town.good_calls(channel) == {"OK"}
            # ... that are refused ...
            assert await town.bad_calls(channel) == {
                "INVALID_REQUEST",
                "CALLER_NOT_ALLOWED",
                "TICKET_MISSING",
                "TICKET_INVALID",
                "TICKET_WRONG_DESTINATION",
                "ORDER_FIELD_TYPE_MISMATCH",
                "ORDER_NOT_FOUND",
                "OK",  # the authorizer answers a refusal
                "GATEWAY_KEY_INVALID",
                "PASSENGER_MISSING",
            }
            await until(town.no_task_is_open)
            processing = town.ticket("processing", "toll-roads")
            assert await town.outcome(channel, ENQUEUE, town.save("order-3", NAME), processing) == "OK"
            await until(town.no_task_is_open)
            # ... and that meet a defect.
            tables = [f"ALTER TABLE {schema}.orders" for schema in ("toll_roads", "order_core")]
            never = f"ADD CONSTRAINT nobody CHECK (yandex_uid <> '{UID}') NOT VALID"
            async with running_suite.altered(
                "; ".join(f"{table} {never}" for table in tables),
                "; ".join(f"{table} DROP CONSTRAINT nobody" for table in tables),
            ):
                assert await town.outcome(channel, ENQUEUE, town.save("order-4", "offer-4"), processing) == "OK"
                await until(town.no_task_is_open)
                put = order_core.PutOrderRequest(order_id="order-4", yandex_uid=UID, document=Struct())
                assert await town.outcome(channel, PUT_ORDER, put, town.ticket("admin", "order-core")) == "INTERNAL"

    assert log.events("task refused")
    assert log.events("task failed")
    assert log.events("unexpected error")
    # Lines that a call or a task writes are its service's, in a process that serves several.
    assert {line["service.name"] for line in log.events("unexpected error")} == {"order-core"}
    assert {line["service.name"] for line in log.events("task failed")} == {"toll-roads"}
    metrics = generate_latest(REGISTRY).decode()
    assert "grpc_server_call_duration_seconds" in metrics
    for planted in (*PERSONAL, *town.secrets):
        assert planted not in log.text
        assert planted not in metrics


async def test_every_line_is_an_object_that_says_what_when_and_where(
    running_suite: SuiteInProcess, keys_dir: Path, log: LogCapture
) -> None:
    town = Town(running_suite, keys_dir)
    async with running_suite.channel() as channel:
        await town.good_calls(channel)
        await town.bad_calls(channel)
    logging.getLogger("a library").warning("something %s", "odd")
    assert len(log.lines) > 10
    for line in log.lines:
        assert {"event", "level", "timestamp", "service.name", "service.version", "service.instance.id"} <= line.keys()
        assert datetime.fromisoformat(line["timestamp"]).tzinfo is not None
        # The service that it is about, or else the process.
        name = line["service.name"]
        assert name in suite.SERVICES or (name, line["event"] == "call") == ("test", False)
        assert line["service.version"] == distributions.version("ridehail")
        assert line["service.instance.id"] == f"{socket.gethostname()}/test/{os.getpid()}"
    assert log.lines[-1] | {"timestamp": "", "service.version": "", "service.instance.id": ""} == {
        "event": "something odd",
        "level": "warning",
        "logger": "a library",
        "service.name": "test",
        "service.version": "",
        "service.instance.id": "",
        "timestamp": "",
    }


async def calls(log: LogCapture, number: int, *request_ids: str) -> list[dict[str, Any]]:
    """Returns the lines of so many calls with these request ids.

    An error reaches its caller a little before it reaches the log: waits for the lines, and leaves out those of calls
    that an earlier test made.
    """

    def found() -> list[dict[str, Any]]:
        return [line for line in log.events("call") if line["request_id"] in request_ids]

    await until(lambda: len(found()) >= number)
    return found()


async def test_the_access_log_says_who_called_what_and_how_it_ended(
    running_suite: SuiteInProcess, log: LogCapture
) -> None:
    async with running_suite.channel() as channel:
        own = (("x-request-id", "who-called-what"),)
        metadata = (*running_suite.metadata("routestats", "toll-roads"), *own)
        await call(channel, SAVE_OFFER, toll_roads.SaveOfferRequest(offer_id="offer"), metadata=metadata)
        await failure_of(channel, SAVE_OFFER, metadata=metadata)
        await failure_of(channel, SAVE_OFFER, metadata=own)
    lines = await calls(log, 3, "who-called-what")
    told = [(line["caller"], line["status"], line["reason"]) for line in lines]
    assert told == [
        ("routestats", "OK", ""),
        ("routestats", "INVALID_ARGUMENT", "INVALID_REQUEST"),
        ("", "UNAUTHENTICATED", "TICKET_MISSING"),
    ]
    assert all(line["method"] == SAVE_OFFER.removeprefix("/") for line in lines)
    assert all(0 < line["duration_ms"] < 1000 * LIMIT_S for line in lines)


async def test_the_access_log_writes_its_lines_as_all_others_are_written(log: LogCapture) -> None:
    told: dict[str, str | float] = {
        "method": "a.B/C",
        "status": "OK",
        "reason": "",
        "caller": 'odd "\u2028\n',
        "duration_ms": 1.5,
    }
    with call_context.call_context(request_id="the-id"):
        logs.AccessLog("here").write("test", request_id="the-id", **told)
        await asyncio.sleep(0)  # it is written in the next turn
        logs.get_logger("here").info("call", **told)
    fast, usual = log.lines
    assert fast.keys() == usual.keys()
    assert fast | {"timestamp": ""} == usual | {"timestamp": ""}
    assert fast["timestamp"][-1] == usual["timestamp"][-1] == "Z"
    took = datetime.fromisoformat(usual["timestamp"]) - datetime.fromisoformat(fast["timestamp"])
    assert 0 <= took.total_seconds() < LIMIT_S


async def test_the_access_log_keeps_to_the_level(log: LogCapture) -> None:
    with captured_logs(level="WARNING") as capture:
        logs.AccessLog("m").write("test", method="a.B/C")
        await asyncio.sleep(0)
        logs.get_logger("m").info("call")
    assert capture.text == ""


async def test_the_metrics_count_calls_by_method_and_outcome(running_suite: SuiteInProcess) -> None:
    def count(name: str, **labels: str) -> float:
        labels |= {"service": "toll-roads", "grpc_method": SAVE_OFFER.removeprefix("/")}
        return REGISTRY.get_sample_value(name, labels) or 0.0

    def figures() -> tuple[float, ...]:
        return (
            count("grpc_server_call_duration_seconds_count", grpc_status="OK"),
            count("grpc_server_call_duration_seconds_count", grpc_status="UNAUTHENTICATED"),
            count("ridehail_rpc_errors_total", reason="TICKET_MISSING"),
        )

    before = figures()
    async with running_suite.channel() as channel:
        metadata = running_suite.metadata("routestats", "toll-roads")
        await call(channel, SAVE_OFFER, toll_roads.SaveOfferRequest(offer_id="offer"), metadata=metadata)
        for _ in range(2):
            await failure_of(channel, SAVE_OFFER)
    await until(lambda: REGISTRY.get_sample_value("ridehail_rpc_in_flight") == 0)
    assert tuple(after - past for after, past in zip(figures(), before, strict=True)) == (1, 2, 2)


# --- request ids


async def answered_id(suite: SuiteInProcess, metadata: Metadata, *, bad: bool = False) -> str:
    async with suite.channel() as channel:
        ticket = suite.metadata("routestats", "toll-roads")
        request = toll_roads.SaveOfferRequest(offer_id="" if bad else "offer")
        method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(SAVE_OFFER)
        made = method(request.SerializeToString(), metadata=(*ticket, *metadata))
        await made.code()
        return str(dict(await made.trailing_metadata())["x-request-id"])


@pytest.mark.parametrize("bad", [False, True], ids=["answer", "error"])
@pytest.mark.parametrize("own", ["a", "5b0c2e9a-4f5d.4a0c_8a7e", "x" * 64])
async def test_a_callers_well_formed_request_id_is_kept(
    running_suite: SuiteInProcess, log: LogCapture, own: str, bad: bool
) -> None:
    assert await answered_id(running_suite, (("x-request-id", own),), bad=bad) == own
    assert [line["request_id"] for line in await calls(log, 1, own)] == [own]


@pytest.mark.parametrize("own", ["", "a b", "x" * 65, 'a"', "{}"])
async def test_a_callers_malformed_request_id_is_replaced(
    running_suite: SuiteInProcess, log: LogCapture, own: str
) -> None:
    made = await answered_id(running_suite, (("x-request-id", own),))
    assert len(made) == 32
    assert int(made, 16) >= 0
    assert [line["request_id"] for line in await calls(log, 1, made)] == [made]


async def test_calls_without_a_request_id_get_one_each(running_suite: SuiteInProcess) -> None:
    assert await answered_id(running_suite, ()) != await answered_id(running_suite, ())


async def test_concurrent_calls_do_not_mix_up_their_ids(running_suite: SuiteInProcess, log: LogCapture) -> None:
    ids = [f"call-{number}" for number in range(30)]
    answered = await asyncio.gather(
        *(answered_id(running_suite, (("x-request-id", own),), bad=bool(index % 2)) for index, own in enumerate(ids))
    )
    assert answered == ids
    assert {line["request_id"]: line["status"] for line in await calls(log, 30, *ids)} == {
        own: "INVALID_ARGUMENT" if index % 2 else "OK" for index, own in enumerate(ids)
    }


async def test_a_request_id_goes_along_to_the_dependency(
    own_suite: SuiteInProcess, config_dir: Path, log: LogCapture
) -> None:
    edit(config_dir / "toll_roads.yaml", {"retrieve_by": "offer"})

    async def is_changed() -> bool:
        return bool(log.events("configuration changed"))

    await until(is_changed)
    async with own_suite.channel() as channel:
        metadata = (*own_suite.metadata("api-proxy", "toll-roads"), ("x-request-id", "across"))
        await failure_of(channel, RETRIEVE_ORDER, toll_roads.RetrieveOrderRequest(order_id="order"), metadata=metadata)
    told = {(line["method"], line["request_id"]) for line in await calls(log, 2, "across")}
    assert told == {(GET_FIELDS.removeprefix("/"), "across"), (RETRIEVE_ORDER.removeprefix("/"), "across")}


# --- exceptions


def test_a_chain_of_exceptions_is_logged_whole_and_without_rows(database_url: str, log: LogCapture) -> None:
    with psycopg.connect(database_url) as connection:
        try:
            try:
                connection.execute("SELECT %s::text::int", (NAME,))
            except psycopg.Error as error:
                raise RuntimeError("while counting") from error
        except RuntimeError as error:
            logs.get_logger("here").error("it failed", exc_info=error)
    text = log.events("it failed")[0]["exception"]
    assert "builtins.RuntimeError: while counting" in text
    assert "psycopg.errors.InvalidTextRepresentation: 22P02" in text
    assert NAME not in text


def test_a_library_that_logs_an_exception_shows_no_rows_either(database_url: str, log: LogCapture) -> None:
    with psycopg.connect(database_url) as connection:
        try:
            connection.execute("SELECT %s::text::int", (NAME,))
        except psycopg.Error:
            logging.getLogger("a library").exception("it failed")
    assert "22P02" in log.events("it failed")[0]["exception"]
    assert NAME not in log.text
