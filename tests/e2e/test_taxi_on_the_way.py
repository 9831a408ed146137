"""The card of a ride as the app gets it: through Envoy, from several processes that share a real Redis."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.passenger import Identity
from ridehail_servers.chassis.tickets import TicketIssuer
from tests.api_proxy.card.card_harness import TAXI_ON_THE_WAY, is_selected
from tests.support.calls import call
from tests.support.command_line import ridehail
from tests.support.config_edits import edit, lenient_config
from tests.support.folders import shared_folder
from tests.support.redis_server import RedisServer
from tests.support.up import RunningCommand, up
from tests.support.waiting import LIMIT_S, eventually

WORKERS, TOGGLES, PATH = 3, 4, "/3.0/taxiontheway"
ORDER, KEY, RIDER, STRANGER = "demo-order-toll", "demo-sharing-key", "4000000001", "4000000099"

# How long the card waits for each service.
WAITS = [f"{service}_timeout_ms" for service in ("order_core", "route_sharing", "inapp", "toll_roads")]


@dataclass
class App:
    """A running suite, and the apps of riders."""

    running: RunningCommand

    def token(self, uid: str = RIDER, *options: str) -> str:
        words = ("token", "--uid", uid, *options, "--data-dir", str(self.running.data_dir))
        return ridehail(*words).stdout.strip()

    def post(self, token: str, body: Any, headers: Mapping[str, str] | None = None, path: str = PATH) -> Any:
        """Sends JSON through Envoy; returns status and JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://{self.running.ready['http']}{path}",
            content,
            {"authorization": f"Bearer {token}", "content-type": "application/json", **(headers or {})},
        )
        try:
            with urllib.request.urlopen(request, timeout=LIMIT_S) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def card(self, token: str, toggle: bool | None = None, order_id: str = ORDER) -> Any:
        actions = {} if toggle is None else {"user_actions": {"share_ride_with_family": {"value": toggle}}}
        status, answer = self.post(token, {"order_id": order_id, **actions})
        assert status == 200, answer
        return answer

    def workers(self) -> list[psutil.Process]:
        """Returns the serving processes."""
        return [one for one in self.running.descendants() if any(word.startswith("serve-") for word in one.cmdline())]


@pytest.fixture(scope="module")
def app(running_redis: RedisServer) -> Iterator[App]:
    running_redis.client.flushall()
    with shared_folder() as folder:
        config = lenient_config(folder / "config")
        edit(config / "server.yaml", {"cache": {"timeout_ms": 10_000}})
        edit(config / "api_proxy.yaml", {"TAXI_ON_THE_WAY": dict.fromkeys(WAITS, 10_000)})
        words = ("--demo", "--workers", str(WORKERS), "--cache-url", running_redis.url, "--config-dir", str(config))
        running = up(folder / "data", *words)
        try:
            app = App(running)
            token = app.token(RIDER, "--family-role", "user")
            # The demo's order is saved by a background task, which may still be at it.
            eventually(lambda: "toll_road" in app.card(token))
            yield app
        finally:
            running.stop()


@pytest.fixture(scope="module")
def token(app: App) -> str:
    return app.token(RIDER, "--family-role", "user")


@asynccontextmanager
async def channels_to_every_worker(app: App) -> AsyncIterator[list[grpc.aio.Channel]]:
    """Opens connections until every process has accepted at least one."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    me = psutil.Process()
    async with AsyncExitStack() as stack:
        opened: list[grpc.aio.Channel] = []
        port = int(app.running.ready["grpc"].rpartition(":")[2])

        def reached() -> set[int]:
            mine = {one.laddr.port for one in me.net_connections("tcp") if one.raddr and one.raddr.port == port}
            return {
                worker.pid
                for worker in app.workers()
                for one in worker.net_connections("tcp")
                if one.raddr and one.raddr.port in mine
            }

        while len(reached()) < WORKERS:
            assert len(opened) < 100
            channel = grpc.aio.insecure_channel(app.running.ready["grpc"], options)
            opened.append(await stack.enter_async_context(channel))
            await channel.channel_ready()
        yield opened


def rider_metadata(app: App) -> tuple[tuple[str, str], ...]:
    tickets = TicketIssuer(KeyRing(app.running.data_dir / "keys" / "tickets"), "gateway")
    ticket = tickets("api-proxy", Identity(RIDER, family_role="user"))
    return (("x-ya-service-ticket", ticket),)


@pytest.mark.timeout(600)
async def test_after_each_toggle_the_next_plain_poll_of_every_worker_shows_it(app: App, token: str) -> None:
    stopped, metadata = asyncio.Event(), rider_metadata(app)
    request = api.TaxiOnTheWayRequest(order_id=ORDER)

    async def state_on(channel: grpc.aio.Channel) -> bool | None:
        answer = api.TaxiOnTheWayResponse.FromString(await call(channel, TAXI_ON_THE_WAY, request, metadata=metadata))
        (banner,) = [one for one in answer.promos.values if one.struct_value["id"] == "share_ride_with_family"]
        return bool(banner.struct_value["is_selected"])

    async def keep_polling(channel: grpc.aio.Channel) -> None:
        while not stopped.is_set():
            await state_on(channel)

    async with channels_to_every_worker(app) as channels, asyncio.TaskGroup() as pollers:
        for channel in channels[:2]:
            pollers.create_task(keep_polling(channel))
        try:
            for number in range(TOGGLES):
                toggle = number % 2 == 0
                card = await asyncio.to_thread(app.card, token, toggle)
                assert is_selected(card) is toggle
                assert set(await asyncio.gather(*map(state_on, channels))) == {toggle}
                assert is_selected(await asyncio.to_thread(app.card, token)) is toggle
        finally:
            stopped.set()


def test_the_card_as_json(app: App, token: str, running_redis: RedisServer) -> None:
    for toggle in (True, False):
        assert is_selected(app.card(token, toggle=toggle)) is toggle
        for key in running_redis.client.scan_iter():
            running_redis.client.delete(key)
            assert is_selected(app.card(token)) is toggle
        for key in running_redis.client.scan_iter():
            for garbage in (b"", b"garbage", b"bytes:", b"bytes:" + b"x" * 40, b"12345", b"\x80\x04K\x01."):
                running_redis.client.set(key, garbage)
                assert is_selected(app.card(token)) is toggle
    status, card = app.post(token, {"order_id": ORDER}, path="/taxiontheway")
    assert status == 200
    assert card["toll_road"] == {"has_toll_road": True, "can_switch_road": True}


def test_for_a_stranger_the_ride_does_not_exist(app: App) -> None:
    stranger = app.token(STRANGER, "--family-role", "user")
    for toggle in ({}, {"user_actions": {"share_ride_with_family": {"value": True}}}):
        status, error = app.post(stranger, {"order_id": ORDER, **toggle})
        assert (status, error["details"][0]["reason"]) == (404, "ORDER_NOT_FOUND")


@pytest.mark.parametrize("role", ["owner", None])
def test_a_forged_role_changes_no_toggle(app: App, token: str, role: str | None) -> None:
    app.card(token, toggle=False)
    other = app.token(RIDER, *(("--family-role", role) if role else ()))
    body = {"order_id": ORDER, "user_actions": {"share_ride_with_family": {"value": True}}}
    forged = {"x-ya-family-role": "user", "X-Ya-Family-Role": "user", "x-yandex-uid": RIDER}
    status, card = app.post(other, body, forged)
    assert status == 200
    assert is_selected(card) is None
    assert is_selected(app.card(token)) is False


NO_OBJECTS: tuple[object, ...] = (7, "on", [], True)
NO_FLAGS: tuple[object, ...] = ("perhaps", 7, [], {})
NO_IDS: tuple[object, ...] = ("", "x" * 129, "a\nb", "a\0b", "a\u200bb", 7, True, {}, ["a"])
BAD_BODIES: list[tuple[object, int]] = [
    ({}, 400),
    *(({"order_id": bad}, 400) for bad in NO_IDS),
    *(({"order_id": ORDER, "user_actions": bad}, 400) for bad in NO_OBJECTS),
    *(({"order_id": ORDER, "user_actions": {"share_ride_with_family": bad}}, 400) for bad in NO_OBJECTS),
    *(({"order_id": ORDER, "user_actions": {"share_ride_with_family": {"value": bad}}}, 400) for bad in NO_FLAGS),
    *((bad, 400) for bad in (b"{", b"[]", b'"text"', b"\x00", b"{} {}")),
    ({"order_id": ORDER, "padding": "x" * 300_000}, 413),
]


@pytest.mark.parametrize("path", [PATH, "/taxiontheway"])
def test_bad_bodies_are_refused(app: App, token: str, path: str) -> None:
    for body, expected in BAD_BODIES:
        status, error = app.post(token, body, path=path)
        assert status == expected, (body, error)
        assert error["code"] == {400: 3, 413: 8}[status]
    status, error = app.post("garbage", {"order_id": ORDER}, path=path)
    assert (status, error["details"][0]["reason"]) == (401, "SESSION_INVALID")


def test_nothing_personal_is_in_any_log(app: App, token: str) -> None:
    app.card(token, toggle=True)
    app.card(token)
    logs = [file.read_text(errors="replace") for file in Path(app.running.data_dir, "logs").iterdir()]
    assert any("TaxiOnTheWay" in text for text in logs)
    planted = ("demo-phone", "\u0412\u0430\u0441\u0438\u043b\u0438\u0439", RIDER, KEY, token)
    for text in logs:
        assert not [word for word in planted if word in text]
