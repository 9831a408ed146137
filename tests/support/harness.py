"""A suite in the test's event loop behind a real gateway, and the errors that callers of both see."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from google.rpc import error_details_pb2, status_pb2

from ridehail.ordercore.v1 import order_core_api_pb2 as order_core
from ridehail.tollroads.v1 import toll_roads_api_pb2 as toll_roads
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.tickets import TicketIssuer
from ridehail_servers.passenger_authorizer.session_tokens import issue_session_token
from ridehail_servers.runtime.gateway_process import GatewayProcess
from ridehail_servers.runtime.supervisor import Supervisor
from tests.support.fault_proxy import FaultProxy
from tests.support.ports import unused_port
from tests.support.suite_in_process import SuiteInProcess
from tests.support.waiting import LIMIT_S

TOLL_ROADS = "/ridehail.tollroads.v1.TollRoadsService"
PASSENGER = "/ridehail.tollroads.v1.PassengerTollRoadsService"
ORDER_CORE = "/ridehail.ordercore.v1.OrderCoreService"
ORDER_STATE = "/ridehail.orderstate.v1.OrderStateService"


@dataclass
class SeenError:
    code: str
    reason: str
    metadata: Mapping[str, str]
    has_retry_info: bool
    http_status: int | None = None


@dataclass
class Harness:
    """A suite behind a gateway, with calls that fail."""

    suite: SuiteInProcess
    gateway: GatewayProcess
    faults: FaultProxy

    def ticket(self, source: str = "api-proxy", destination: str = "toll-roads") -> dict[str, str]:
        return {"x-ya-service-ticket": TicketIssuer(self.suite.keys, source).issue(destination)}

    def session(self, *, uid: str = "400", phone_id: str = "", now: datetime | None = None) -> dict[str, str]:
        keys, hour = KeyRing(self.suite.settings.keys_dir / "sessions"), timedelta(hours=1)
        token = issue_session_token(keys, yandex_uid=uid, phone_id=phone_id, ttl=hour, now=now or datetime.now(UTC))
        return {"authorization": f"Bearer {token}"}

    async def grpc(
        self, path: str, request: Any, headers: Mapping[str, str], *, address: str | None = None
    ) -> SeenError:
        """Calls directly or at the gateway's address."""
        async with grpc.aio.insecure_channel(address or self.suite.address) as channel:
            call: Any = channel.unary_unary(path, request_serializer=type(request).SerializeToString)
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await call(request, metadata=tuple(headers.items()), timeout=LIMIT_S)
        trailers = dict(failed.value.trailing_metadata() or ())
        encoded = trailers.get("grpc-status-details-bin")
        assert isinstance(encoded, bytes), failed.value
        status = status_pb2.Status.FromString(encoded)
        info = error_details_pb2.ErrorInfo()
        assert status.details[0].Unpack(info)
        assert info.domain == "ridehail"
        assert status.code == failed.value.code().value[0]
        retry = any(detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for detail in status.details)
        return SeenError(failed.value.code().name, info.reason, info.metadata, retry)

    async def http(
        self, port: int, path: str, body: Mapping[str, object] | None, headers: Mapping[str, str]
    ) -> SeenError:
        """Calls by JSON; without a body by GET."""
        encoded = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", encoded, dict(headers))

        def send() -> tuple[int, bytes]:
            with pytest.raises(urllib.error.HTTPError) as failed:
                urllib.request.urlopen(request, timeout=LIMIT_S)
            return failed.value.code, failed.value.read()

        status, content = await asyncio.to_thread(send)
        error = json.loads(content)
        info, *others = error["details"]
        assert info["domain"] == "ridehail"
        retry = any(other["@type"].endswith("google.rpc.RetryInfo") for other in others)
        code = next(code.name for code in grpc.StatusCode if code.value[0] == error["code"])
        return SeenError(code, info["reason"], info["metadata"], retry, status)

    async def both(
        self, path: str, http_path: str, request: Any, headers: Mapping[str, str]
    ) -> tuple[SeenError, SeenError]:
        """Calls a service's method by gRPC, and as JSON through the internal listener."""
        body = MessageToDict(request, preserving_proto_field_name=True)
        return (
            await self.grpc(path, request, headers),
            await self.http(self.gateway.internal_port, http_path, body, headers),
        )

    async def retrieve(self, headers: Mapping[str, str], order_id: str = "order") -> tuple[SeenError, SeenError]:
        request = toll_roads.RetrieveOrderRequest(order_id=order_id)
        return await self.both(f"{TOLL_ROADS}/RetrieveOrder", "/toll-roads/v1/order/retrieve", request, headers)

    async def switch(self, headers: Mapping[str, str]) -> tuple[SeenError, SeenError]:
        """Calls as a passenger by gRPC and JSON, through the public listener."""
        created = "2026-11-20T12:00:00Z"
        request = toll_roads.SwitchRoadRequest(order_id="order", has_toll_road=False)
        request.created.FromJsonString(created)
        public = f"127.0.0.1:{self.gateway.public_port}"
        body = {"order_id": "order", "has_toll_road": False, "created": created}
        return (
            await self.grpc(f"{PASSENGER}/SwitchRoad", request, headers, address=public),
            await self.http(self.gateway.public_port, "/4.0/toll-roads/v1/order", body, headers),
        )

    async def order_core(self, method: str, request: Any) -> tuple[SeenError, SeenError]:
        return await self.native(f"{ORDER_CORE}/{method}", request, self.ticket("admin", "order-core"))

    async def native(self, path: str, request: Any, headers: Mapping[str, str]) -> tuple[SeenError, SeenError]:
        """Calls a method without a JSON form, so that gRPC goes through the gateway as well."""
        internal = f"127.0.0.1:{self.gateway.internal_port}"
        return (
            await self.grpc(path, request, headers),
            await self.grpc(path, request, headers, address=internal),
        )

    async def set_fields(self, **changes: Any) -> tuple[SeenError, SeenError]:
        return await self.order_core("SetOrderFields", order_core.SetOrderFieldsRequest(order_id="order", **changes))


@asynccontextmanager
async def behind_a_gateway(
    suite: SuiteInProcess, folder: Path, *, faults: FaultProxy | None = None
) -> AsyncIterator[Harness]:
    """Puts a gateway in front of a running suite for the length of the block.

    Args:
        suite: Behind the gateway.
        folder: For configuration and logs.
        faults: The proxy between toll_roads and order_core, if the suite uses one.
    """
    gateway = GatewayProcess(
        host="127.0.0.1",
        public_port=unused_port(),
        internal_port=unused_port(),
        upstream=suite.address,
        gateway_key=(suite.settings.keys_dir / "gateway.key").read_text(),
        run_dir=folder,
        log_dir=folder,
        health_check_timeout_s=LIMIT_S,
    )
    supervisor = Supervisor()
    await supervisor.start(gateway.process())
    try:
        await gateway.wait_until_ready(within=LIMIT_S)
        yield Harness(suite, gateway, faults or FaultProxy(lambda: suite.address))
    finally:
        await supervisor.stop()
