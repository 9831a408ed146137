"""What Envoy receives, over a real channel and through the chassis."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from envoy.config.core.v3.base_pb2 import HeaderValueOption
from envoy.service.auth.v3 import external_auth_pb2, external_auth_pb2_grpc
from google.protobuf import json_format
from google.rpc import error_details_pb2, status_pb2

from ridehail_servers.chassis import app
from ridehail_servers.chassis.keys import KeyRing, create_key_pair
from ridehail_servers.chassis.passenger import Identity
from ridehail_servers.chassis.settings import ProcessSettings
from ridehail_servers.chassis.tickets import TicketVerifier
from ridehail_servers.passenger_authorizer.definition import definition
from ridehail_servers.passenger_authorizer.session_tokens import issue_session_token
from ridehail_servers.runtime.data_dir import write_secret

PATH = "/ridehail.tollroads.v1.PassengerTollRoadsService/SwitchRoad"
KEY = (("x-ya-gateway-key", "the-key-of-the-gateway"),)
DEFINITION = definition({"ridehail.tollroads.v1.PassengerTollRoadsService": "toll-roads"})


@pytest.fixture(scope="module")
def keys_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keys = tmp_path_factory.mktemp("keys")
    create_key_pair(keys / "tickets" / "gateway", "1")
    create_key_pair(keys / "sessions", "1")
    write_secret(keys / "gateway.key", KEY[0][1])
    return keys


@pytest.fixture(scope="module")
async def stub(
    sockets: None, keys_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[external_auth_pb2_grpc.AuthorizationStub]:
    config = tmp_path_factory.mktemp("config")
    (config / "sessions.yaml").write_text("{}\n")
    (config / "server.yaml").write_text("{drain_notice_s: 0, drain_quiet_s: 0.01}\n")
    (config / "flags.json").write_text('{"flags": {}}')
    (config / "access.yaml").write_text(
        "callers: [gateway]\nmethods: {envoy.service.auth.v3.Authorization/Check: [gateway]}\n"
    )
    settings = ProcessSettings(services=(DEFINITION.name,), config_dir=config, keys_dir=keys_dir)
    async with app.build([DEFINITION], settings) as built:
        server = app.Server(built, settings)
        port = await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield external_auth_pb2_grpc.AuthorizationStub(channel)
        await server.drain()


def request_with(path: str = PATH, **headers: str) -> external_auth_pb2.CheckRequest:
    request = external_auth_pb2.CheckRequest()
    request.attributes.request.http.path = path
    request.attributes.request.http.headers.update(headers)
    return request


def bearer(keys_dir: Path, **claims: Any) -> str:
    token = issue_session_token(
        KeyRing(keys_dir / "sessions"), yandex_uid="4001", ttl=timedelta(hours=1), now=datetime.now(UTC), **claims
    )
    return f"Bearer {token}"


async def test_upstream_sees_the_passenger_and_a_ticket_but_no_token(
    stub: external_auth_pb2_grpc.AuthorizationStub, keys_dir: Path
) -> None:
    authorization = bearer(keys_dir, user_id="u", family_role="owner", phone_id="p")
    response = await stub.Check(request_with(authorization=authorization), metadata=KEY)
    assert response.status.code == 0
    headers = {option.header.key: option.header.value for option in response.ok_response.headers}
    ticket = TicketVerifier(KeyRing(keys_dir / "tickets")).verify(
        headers.pop("x-ya-service-ticket"), destination="toll-roads"
    )
    assert (ticket.source, ticket.passenger) == ("gateway", Identity("4001", "u", "owner", "p"))
    assert headers == {
        "x-yandex-uid": "4001",
        "x-yataxi-userid": "u",
        "x-ya-family-role": "owner",
        "x-yataxi-phone-id": "p",
    }
    assert {option.append_action for option in response.ok_response.headers} == {
        HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    }
    assert list(response.ok_response.headers_to_remove) == ["authorization"]


async def test_what_the_session_does_not_state_is_removed(
    stub: external_auth_pb2_grpc.AuthorizationStub, keys_dir: Path
) -> None:
    response = await stub.Check(request_with(authorization=bearer(keys_dir)), metadata=KEY)
    assert {option.header.key for option in response.ok_response.headers} == {"x-yandex-uid", "x-ya-service-ticket"}
    assert set(response.ok_response.headers_to_remove) == {
        "x-yataxi-userid",
        "x-ya-family-role",
        "x-yataxi-phone-id",
        "authorization",
    }


async def test_the_gateway_may_remember_what_it_sets_and_by_which_rules(
    stub: external_auth_pb2_grpc.AuthorizationStub, keys_dir: Path
) -> None:
    good = await stub.Check(request_with(authorization=bearer(keys_dir, user_id="u")), metadata=KEY)
    notes = json_format.MessageToDict(good.dynamic_metadata)
    assert notes == {
        "rules": notes["rules"],
        "remember_ms": 60_000,
        "headers": {option.header.key: option.header.value for option in good.ok_response.headers},
    }
    denied = await stub.Check(request_with(), metadata=KEY)
    assert json_format.MessageToDict(denied.dynamic_metadata) == {"rules": notes["rules"]}


async def test_a_denial_has_a_plain_message_and_the_reason_in_a_header(
    stub: external_auth_pb2_grpc.AuthorizationStub,
) -> None:
    response = await stub.Check(request_with(), metadata=KEY)
    assert response.status.code == grpc.StatusCode.UNAUTHENTICATED.value[0]
    denied = response.denied_response
    assert (denied.status.code, denied.body) == (401, "Authorization: Bearer <session token> is missing")
    headers = {option.header.key: option.header.value for option in denied.headers}
    assert headers["x-error-reason"] == "SESSION_MISSING"


async def test_a_method_that_is_not_for_passengers_is_forbidden(
    stub: external_auth_pb2_grpc.AuthorizationStub, keys_dir: Path
) -> None:
    request = request_with("/ridehail.tollroads.v1.TollRoadsService/SaveOffer", authorization=bearer(keys_dir))
    response = await stub.Check(request, metadata=KEY)
    assert response.status.code == grpc.StatusCode.PERMISSION_DENIED.value[0]
    assert response.denied_response.status.code == 403
    assert not response.HasField("ok_response")


@pytest.mark.parametrize("metadata", [(), (("x-ya-gateway-key", "guess"),)])
async def test_nobody_but_the_gateway_gets_a_response(
    stub: external_auth_pb2_grpc.AuthorizationStub, keys_dir: Path, metadata: tuple[tuple[str, str], ...]
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Check(request_with(authorization=bearer(keys_dir)), metadata=metadata)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    details = dict(caught.value.trailing_metadata())["grpc-status-details-bin"]
    info = error_details_pb2.ErrorInfo()
    assert status_pb2.Status.FromString(details).details[0].Unpack(info)
    assert info.reason == "GATEWAY_KEY_INVALID"
