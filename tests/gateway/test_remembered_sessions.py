"""The gateway remembers whom the authorizer let pass; nobody gets further by it than without."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest

from ridehail_servers.chassis.keys import KeyRing, create_key_pair
from ridehail_servers.chassis.passenger import Identity
from ridehail_servers.chassis.service_definition import ServiceDefinition
from ridehail_servers.chassis.tickets import TicketVerifier
from ridehail_servers.gateway.configuration import GatewaySettings, render
from ridehail_servers.passenger_authorizer.session_tokens import issue_session_token
from tests.gateway.conftest import Servers
from tests.gateway.envoy_process import RunningEnvoy, running_envoy
from tests.gateway.upstream import Upstream
from tests.support.tcp_proxy import Mode, TcpProxy, tcp_proxy
from tests.support.waiting import eventually

SWITCH = "/4.0/toll-roads/v1/order"
THING = "/sample/v1/things/a"
NEW_THING = "/sample/v1/new-things/a"
ASKED, REMEMBERED = "ok", "disabled"

# Much less than a session is remembered for: who is refused later was only forgotten.
WITHIN_S = 30.0

GatewayWith = Callable[..., AbstractContextManager[RunningEnvoy]]


@pytest.fixture
def gateway_with(settings: GatewaySettings, definitions: list[ServiceDefinition], folder: Path) -> GatewayWith:
    """Runs a gateway with settings of its own for the length of a block."""

    @contextmanager
    def running(name: str, **changes: object) -> Iterator[RunningEnvoy]:
        here = folder / name
        here.mkdir()
        changed = {"admin_socket": here / "admin", "access_log": here / "access.log", **changes}
        with running_envoy(render(settings.model_copy(update=changed), definitions), here) as envoy:
            yield envoy

    return running


def count(gateway: RunningEnvoy, what: str) -> int:
    """Returns how many requests the authorizer let pass (ASKED), or passed without it (REMEMBERED)."""
    text = gateway.admin(f"/stats?filter=^http.public.ext_authz.{what}$").decode()
    return sum(int(line.rpartition(": ")[2]) for line in text.splitlines())


def header(keys: KeyRing, uid: str, **claims: Any) -> dict[str, str]:
    token = issue_session_token(keys, yandex_uid=uid, ttl=timedelta(hours=1), now=datetime.now(UTC), **claims)
    return {"authorization": f"Bearer {token}"}


def session_id(headers: dict[str, str]) -> str:
    token = headers["authorization"].removeprefix("Bearer ")
    return str(jwt.decode(token, options={"verify_signature": False})["sid"])


def ask_until_remembered(gateway: RunningEnvoy, path: str, headers: dict[str, str]) -> None:
    """Makes requests until one passes without the authorizer: the first of a session and some others ask it."""

    def is_remembered() -> bool:
        before = count(gateway, REMEMBERED)
        assert gateway.public.request("GET" if path == THING else "POST", path, b"", headers).status == 200
        return count(gateway, REMEMBERED) > before

    eventually(is_remembered)


def test_a_remembered_session_arrives_as_a_verified_one(
    gateway: RunningEnvoy, upstream: Upstream, session_keys: KeyRing, keys_dir: Path
) -> None:
    ask_until_remembered(gateway, SWITCH, header(session_keys, "1", user_id="u", family_role="user", phone_id="p"))
    first, last = upstream.calls[0], upstream.calls[-1]
    names = ("x-yandex-uid", "x-yataxi-userid", "x-ya-family-role", "x-yataxi-phone-id", "authorization")
    assert [last.header(name) for name in names] == ["1", "u", "user", "p", None]
    assert {name for name, _value in last.metadata} == {name for name, _value in first.metadata}
    ticket = TicketVerifier(KeyRing(keys_dir / "tickets")).verify(
        str(last.header("x-ya-service-ticket")), destination="toll-roads"
    )
    assert ticket.passenger == Identity("1", "u", "user", "p")


def test_a_session_is_remembered_for_each_service_apart(
    gateway: RunningEnvoy, upstream: Upstream, session_keys: KeyRing, keys_dir: Path
) -> None:
    headers = header(session_keys, "2")
    verifier = TicketVerifier(KeyRing(keys_dir / "tickets"))
    for path, destination in ((SWITCH, "toll-roads"), (THING, "sample")):
        ask_until_remembered(gateway, path, headers)
        for call in upstream.calls:
            verifier.verify(str(call.header("x-ya-service-ticket")), destination=destination)
        upstream.reset()
    # Served by the same server, but the authorizer does not know it.
    assert gateway.public.request("GET", NEW_THING, None, headers).error == (403, 7)
    assert upstream.calls == []


def test_what_a_client_claims_beside_a_remembered_session_is_still_stripped(
    gateway: RunningEnvoy, upstream: Upstream, session_keys: KeyRing
) -> None:
    smuggled = dict.fromkeys(("x-yandex-uid", "x-yataxi-userid", "x-ya-service-ticket", "x-ya-gateway-key"), "smuggled")
    ask_until_remembered(gateway, SWITCH, {**header(session_keys, "3"), **smuggled})
    for call in upstream.calls:
        assert (call.header("x-yandex-uid"), call.header("x-yataxi-userid")) == ("3", None)
        assert call.header("x-ya-service-ticket") != "smuggled"
        assert call.header("x-ya-gateway-key") is None


def test_an_ended_session_is_refused_and_others_are_not(
    gateway: RunningEnvoy, upstream: Upstream, session_keys: KeyRing, config_dir: Path
) -> None:
    lost, kept = header(session_keys, "4"), header(session_keys, "4")
    ask_until_remembered(gateway, SWITCH, lost)
    ask_until_remembered(gateway, SWITCH, kept)
    file = config_dir / "sessions.yaml"
    before = file.read_text()
    file.write_text(f"ended: ['{session_id(lost)}']\n")
    try:
        eventually(lambda: gateway.public.post(SWITCH, {}, lost).status == 401, within=WITHIN_S)
        ask_until_remembered(gateway, SWITCH, kept)
        reply = gateway.public.post(SWITCH, {}, lost)
        assert (reply.error, reply.reason) == ((401, 16), "SESSION_INVALID")
    finally:
        file.write_text(before)
    eventually(lambda: gateway.public.post(SWITCH, {}, lost).status == 200)


def test_sessions_of_a_withdrawn_key_are_refused(gateway: RunningEnvoy, upstream: Upstream, keys_dir: Path) -> None:
    sessions = keys_dir / "sessions"
    create_key_pair(keys_dir / "leaked", "sessions-3")
    (keys_dir / "leaked" / "sessions-3.public.pem").rename(sessions / "sessions-3.public.pem")
    (keys_dir / "leaked" / "sessions-3.private.pem").rename(sessions / "sessions-3.private.pem")
    try:
        headers = header(KeyRing(sessions), "5")
        eventually(lambda: gateway.public.post(SWITCH, {}, headers).status == 200)
        ask_until_remembered(gateway, SWITCH, headers)
    finally:
        (sessions / "sessions-3.private.pem").unlink()
        (sessions / "sessions-3.public.pem").unlink()
    eventually(lambda: gateway.public.post(SWITCH, {}, headers).status == 401, within=WITHIN_S)


def test_a_session_ends_at_its_time_though_it_is_remembered(
    gateway: RunningEnvoy, upstream: Upstream, session_keys: KeyRing
) -> None:
    # Clocks may differ by 30 s, so it has three of its four seconds left.
    then = datetime.now(UTC) - timedelta(seconds=31)
    token = issue_session_token(session_keys, yandex_uid="6", ttl=timedelta(seconds=4), now=then)
    headers = {"authorization": f"Bearer {token}"}
    ask_until_remembered(gateway, SWITCH, headers)
    eventually(lambda: gateway.public.post(SWITCH, {}, headers).status == 401)
    assert gateway.public.post(SWITCH, {}, headers).reason == "SESSION_EXPIRED"


def test_among_more_sessions_than_are_remembered_everybody_stays_who_they_are(
    gateway_with: GatewayWith, upstream: Upstream, session_keys: KeyRing
) -> None:
    passengers = [header(session_keys, str(uid), user_id=f"user-{uid}") for uid in range(6)]
    chance = random.Random(1)
    with gateway_with("short-memory", remembered_sessions=4) as gateway:
        for _ in range(80):
            uid = chance.randrange(len(passengers))
            assert gateway.public.post(SWITCH, {}, passengers[uid]).status == 200
            arrived = upstream.calls[-1]
            assert (arrived.header("x-yandex-uid"), arrived.header("x-yataxi-userid")) == (str(uid), f"user-{uid}")
        assert count(gateway, REMEMBERED)
        assert count(gateway, ASKED) > len(passengers)


def test_a_gateway_may_be_told_to_remember_nobody(
    gateway_with: GatewayWith, upstream: Upstream, signed_in: dict[str, str]
) -> None:
    with gateway_with("no-memory", remembered_sessions=0) as gateway:
        for _ in range(20):
            assert gateway.public.post(SWITCH, {}, signed_in).status == 200
        assert (count(gateway, ASKED), count(gateway, REMEMBERED)) == (20, 0)


@pytest.fixture
def authorizer(servers: Servers) -> Iterator[TcpProxy]:
    host, _, port = servers.authorizer_address.rpartition(":")
    with tcp_proxy((host, int(port))) as proxy:
        yield proxy


def test_without_the_authorizer_nobody_passes_for_long(
    gateway_with: GatewayWith,
    settings: GatewaySettings,
    upstream: Upstream,
    signed_in: dict[str, str],
    authorizer: TcpProxy,
) -> None:
    upstreams = {**settings.upstreams, "passenger-authorizer": f"127.0.0.1:{authorizer.port}"}
    with gateway_with("authorizer-dies", upstreams=upstreams) as gateway:
        eventually(lambda: gateway.public.post(SWITCH, {}, signed_in).status == 200)
        ask_until_remembered(gateway, SWITCH, signed_in)
        authorizer.set(Mode.REFUSE)
        # While it is remembered, one of the requests asks the authorizer at times.
        eventually(
            lambda: {gateway.public.post(SWITCH, {}, signed_in).status for _ in range(6)} == {503}, within=WITHIN_S
        )
        upstream.reset()
        assert gateway.public.post(SWITCH, {}, signed_in).error == (503, 14)
        assert upstream.calls == []
