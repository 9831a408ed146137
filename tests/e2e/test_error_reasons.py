"""Every reason of the catalogue, raised for real, as it looks by gRPC and as it looks through the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from envoy.service.auth.v3 import external_auth_pb2
from google.protobuf.json_format import MessageToDict
from prometheus_client import REGISTRY

from ridehail.common.v1.error_reason_pb2 import ErrorReason
from ridehail.eulas.v1 import admin_eulas_api_pb2 as admin_eulas
from ridehail.eulas.v1 import admin_eulas_pb2, eulas_pb2
from ridehail.eulas.v1 import eulas_api_pb2 as eulas
from ridehail.family.v1 import family_api_pb2 as family
from ridehail.family.v1 import family_pb2
from ridehail.ordercore.v1 import order_core_api_pb2 as order_core
from ridehail.ordercore.v1 import order_core_api_pb2_grpc
from ridehail.orderstate.v1 import order_state_api_pb2 as order_state
from ridehail.orderstate.v1 import order_state_api_pb2_grpc
from ridehail.routesharing.v1 import route_sharing_api_pb2 as route_sharing
from ridehail.routesharing.v1 import route_sharing_pb2
from ridehail.tollroads.v1 import toll_roads_api_pb2 as toll_roads
from ridehail.tollroads.v1 import toll_roads_api_pb2_grpc
from ridehail.userdata.v1 import user_data_api_pb2 as user_data
from ridehail.userstate.v1 import user_state_api_pb2 as user_state
from ridehail.userstate.v1 import user_state_pb2
from ridehail_clients import (
    AlreadyInFamily,
    AsyncAdminEulasClient,
    AsyncFamilyClient,
    AsyncRouteSharingClient,
    FamilyAdmin,
    FamilyMember,
    JsonObject,
)
from ridehail_kernel.json_values import to_struct, to_value
from ridehail_servers.chassis.tickets import TicketIssuer
from tests.support.config_edits import edit
from tests.support.error_catalogue import catalogue
from tests.support.fault_proxy import down, fault_proxy
from tests.support.harness import ORDER_STATE, PASSENGER, TOLL_ROADS, Harness, SeenError, behind_a_gateway
from tests.support.locks import waiting_for_locks
from tests.support.suite_in_process import suite_in_process
from tests.support.waiting import until

FAMILY = "/ridehail.family.v1.FamilyService"
ROUTE_SHARING = "/ridehail.routesharing.v1.RouteSharingService"
RETRYABLE = {
    "OVERLOADED",
    "RATE_LIMITED",
    "DATABASE_UNAVAILABLE",
    "NEIGHBOUR_UNAVAILABLE",
    "INVITATION_RATE_EXCEEDED",
}
# The gateway names a passenger in every passenger's call, and routes nobody to the authorizer.
NEVER_THROUGH_THE_GATEWAY = {"PASSENGER_MISSING", "GATEWAY_KEY_INVALID"}


@pytest.fixture
async def harness(database_url: str, keys_dir: Path, config_dir: Path, tmp_path: Path) -> AsyncIterator[Harness]:
    (config_dir / "server.yaml").write_text("max_calls_under_way: 2\n")
    address: list[str] = []
    async with (
        fault_proxy(lambda: address[0]) as faults,
        suite_in_process(
            database_url=database_url,
            keys_dir=keys_dir,
            config_dir=config_dir,
            addresses={"order-core": faults.address},
        ) as suite,
        behind_a_gateway(suite, tmp_path, faults=faults) as harness,
    ):
        address.append(suite.address)
        yield harness


@asynccontextmanager
async def locked(harness: Harness, table: str) -> AsyncIterator[None]:
    """Locks the table for the length of the block."""
    async with await psycopg.AsyncConnection.connect(harness.suite.database_url) as connection:
        await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        yield


async def put_order(harness: Harness, document: JsonObject) -> None:
    request = order_core.PutOrderRequest(order_id="order", yandex_uid="400", document=to_struct(document))
    async with harness.suite.channel() as channel:
        put = order_core_api_pb2_grpc.OrderCoreServiceStub(channel).PutOrder
        await put(request, metadata=tuple(harness.ticket("admin", "order-core").items()))


async def expired_ticket(harness: Harness) -> tuple[SeenError, SeenError]:
    then = datetime.now(UTC) - timedelta(hours=2)
    ticket = TicketIssuer(harness.suite.keys, "api-proxy", clock=lambda: then).issue("toll-roads")
    return await harness.retrieve({"x-ya-service-ticket": ticket})


async def passenger_missing(harness: Harness) -> tuple[SeenError, None]:
    request = toll_roads.SwitchRoadRequest(order_id="order", has_toll_road=False)
    return await harness.grpc(f"{PASSENGER}/SwitchRoad", request, harness.ticket("gateway")), None


async def gateway_key_invalid(harness: Harness) -> tuple[SeenError, None]:
    check = external_auth_pb2.CheckRequest()
    return await harness.grpc("/envoy.service.auth.v3.Authorization/Check", check, harness.ticket("gateway")), None


async def rate_limited(harness: Harness) -> tuple[SeenError, SeenError]:
    """A passenger floods the gateway; each response but the last two is another error, since there is no order."""

    async def flood(call: Callable[[], Awaitable[SeenError]]) -> SeenError:
        for _ in range(100):
            # What a busy machine does not answer in time says nothing.
            for seen in await asyncio.gather(*(call() for _ in range(20)), return_exceptions=True):
                if isinstance(seen, SeenError) and seen.reason == "RATE_LIMITED":
                    return seen
        raise AssertionError("nobody was limited")

    headers, port = harness.session(uid="500"), harness.gateway.public_port
    request = toll_roads.SwitchRoadRequest(order_id="order", has_toll_road=False)
    return (
        await flood(lambda: harness.grpc(f"{PASSENGER}/SwitchRoad", request, headers, address=f"127.0.0.1:{port}")),
        await flood(
            lambda: harness.http(
                port, "/4.0/toll-roads/v1/order", {"order_id": "order", "has_toll_road": False}, headers
            )
        ),
    )


async def overloaded(harness: Harness) -> tuple[SeenError, SeenError]:
    """As many calls as the server accepts wait for a lock; the gateway's health checks still pass."""
    async with locked(harness, "toll_roads.offers"), harness.suite.channel() as channel:
        save = toll_roads_api_pb2_grpc.TollRoadsServiceStub(channel).SaveOffer
        metadata = tuple(harness.ticket("routestats").items())
        waiting = [
            asyncio.ensure_future(save(toll_roads.SaveOfferRequest(offer_id="offer"), metadata=metadata))
            for _ in range(2)
        ]
        await until(lambda: _waiting_for_locks(harness))
        seen = await harness.retrieve(harness.ticket())
    await asyncio.gather(*waiting, return_exceptions=True)
    return seen


async def _waiting_for_locks(harness: Harness) -> bool:
    return len(await waiting_for_locks(harness.suite.database_url)) == 2


async def deadline_exceeded(harness: Harness) -> tuple[SeenError, SeenError]:
    async with locked(harness, "order_core.orders"):
        return await harness.order_core(
            "GetOrderFields", order_core.GetOrderFieldsRequest(order_id="order", fields=["a"])
        )


async def dependency_unavailable(harness: Harness) -> tuple[SeenError, SeenError]:
    file = harness.suite.settings.config_dir / "toll_roads.yaml"
    file.write_text("retrieve_by: offer\n")

    async def is_noticed() -> bool:
        return (await harness.retrieve(harness.ticket()))[0].reason == "NEIGHBOUR_UNAVAILABLE"

    harness.faults.fail(down, "GetOrderFields")
    await until(is_noticed)
    seen = await harness.retrieve(harness.ticket())
    file.write_text("retrieve_by: order\n")

    async def is_back() -> bool:
        return (await harness.retrieve(harness.ticket()))[0].reason == "ORDER_NOT_FOUND"

    await until(is_back)
    return seen


async def internal(harness: Harness) -> tuple[SeenError, SeenError]:
    await harness.suite.execute("ALTER TABLE toll_roads.offers RENAME TO out_of_reach")
    request = toll_roads.SaveOfferRequest(offer_id="offer")
    return await harness.both(f"{TOLL_ROADS}/SaveOffer", "/toll-roads/v1/offer", request, harness.ticket("routestats"))


async def database_unavailable(harness: Harness) -> tuple[SeenError, SeenError]:
    name = psycopg.conninfo.conninfo_to_dict(harness.suite.database_url)["dbname"]
    elsewhere = psycopg.conninfo.make_conninfo(harness.suite.database_url, dbname="postgres")
    async with await psycopg.AsyncConnection.connect(elsewhere, autocommit=True) as connection:
        await connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'.encode())
        await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        return await harness.retrieve(harness.ticket())


def switchable(
    *, can_switch_road: bool = True, **changes: bool
) -> Callable[[Harness], Awaitable[tuple[SeenError, SeenError]]]:
    """Has a passenger switch a toll-road order to the free one."""

    async def scenario(harness: Harness) -> tuple[SeenError, SeenError]:
        await harness.suite.execute(
            "INSERT INTO toll_roads.orders (order_id, created_at, can_switch_road, yandex_uid) VALUES (%s, %s, %s, %s)",
            "order",
            "2026-11-20T11:00:00Z",
            can_switch_road,
            "400",
        )
        for timestamp, has_toll_road in {"2026-11-20T11:00:00Z": True, **changes}.items():
            await harness.suite.execute(
                "INSERT INTO toll_roads.log_has_toll_road (order_id, created_at, has_toll_road) VALUES (%s, %s, %s)",
                "order",
                timestamp,
                has_toll_road,
            )
        seen = await harness.switch(harness.session())
        await harness.suite.execute("TRUNCATE toll_roads.orders, toll_roads.log_has_toll_road")
        return seen

    return scenario


async def price_changes_out_of_order(harness: Harness) -> tuple[SeenError, SeenError]:
    change: JsonObject = {"type": "taximeter_price", "created": "2026-11-20T12:00:00Z", "value": True}
    await put_order(harness, {"order": {"fixed_price": {"price": 1}}, "changes": {"objects": [change]}})
    return await switchable()(harness)


async def order_owner_mismatch(harness: Harness) -> tuple[SeenError, SeenError]:
    def report(yandex_uid: str) -> order_state.ReportOrderPartsRequest:
        return order_state.ReportOrderPartsRequest(
            service="eats", orderid="order", yandex_uid=yandex_uid, sequence=1, parts={"full_info": "1"}
        )

    headers = harness.ticket("eats-orders", "order-state")
    async with harness.suite.channel() as channel:
        report_order_parts = order_state_api_pb2_grpc.OrderStateServiceStub(channel).ReportOrderParts
        await report_order_parts(report("400"), metadata=tuple(headers.items()))
    return await harness.native(f"{ORDER_STATE}/ReportOrderParts", report("401"), headers)


async def service_not_owned(harness: Harness) -> tuple[SeenError, SeenError]:
    request = order_state.ReportOrderPartsRequest(service="taxi", orderid="order", yandex_uid="400", sequence=1)
    return await harness.native(
        f"{ORDER_STATE}/ReportOrderParts", request, harness.ticket("eats-orders", "order-state")
    )


async def service_not_found(harness: Harness) -> tuple[SeenError, SeenError]:
    request = order_state.GetServiceOrdersStateRequest(service="laundry", yandex_uid="400")
    headers = harness.ticket(destination="order-state")
    return await harness.both(f"{ORDER_STATE}/GetServiceOrdersState", "/v1/laundry/orders/state", request, headers)


async def answer_refused(harness: Harness, eula_id: str, status: str) -> tuple[SeenError, SeenError]:
    decision = eulas_pb2.EulaDecision(eula_id=eula_id, status=status)
    request = eulas.SaveEulasRequest(yandex_uid="400", eulas=[decision])
    path = "/ridehail.eulas.v1.EulasService/SaveEulas"
    return await harness.both(path, "/v1/save", request, harness.ticket("admin", "eulas"))


async def family_refused(harness: Harness, method: str, request: Any) -> tuple[SeenError, SeenError]:
    """A failing call of family; it has no JSON form, so gRPC goes through the gateway as well."""
    async with AsyncFamilyClient(harness.suite.address, ticket=harness.suite.ticket("admin")) as admin:
        with suppress(AlreadyInFamily):
            await admin.create_family(admin=FamilyAdmin("7", "Ann"), phone_id="phone")
        known = await admin.get_family(yandex_uid="7")
        if hasattr(request, "family_id") and not request.family_id:
            request.family_id = known.family_id
        if method == "AddMember" and request.family_id == known.family_id:
            for number in range(100, 149):
                await admin.add_member(family_id=known.family_id, member=FamilyMember(f"{number}", "phone"))
    path, headers = f"{FAMILY}/{method}", harness.ticket("admin", "family")
    internal = f"127.0.0.1:{harness.gateway.internal_port}"
    return await harness.grpc(path, request, headers), await harness.grpc(path, request, headers, address=internal)


OWN_FAMILY = {
    "RenameOwner": "family/rename-owner",
    "AcceptInvitation": "invitation/accept",
    "Invite": "invitation/send",
    "CreateFamily": "family/create",
}


async def own_family_refused(
    harness: Harness, uid: str, method: str, request: Any, *, sent: int = 0, are_open: bool = False
) -> tuple[SeenError, SeenError]:
    """A passenger's failing call about the family of 17 and 18, which has sent invitations."""
    async with AsyncFamilyClient(harness.suite.address, ticket=harness.suite.ticket("admin")) as admin:
        with suppress(AlreadyInFamily):
            family_id = await admin.create_family(admin=FamilyAdmin("17", "Ann"), phone_id="phone")
            await admin.add_member(family_id=family_id, member=FamilyMember("18", "phone"))
        family_id = (await admin.get_family(yandex_uid="17")).family_id
    await harness.suite.execute("DELETE FROM family.invitations")
    await harness.suite.execute(
        """
        INSERT INTO family.invitations
            (invitation_id, family_id, phone_id, name, invited_by, created_at, expires_at, closed_at)
        SELECT n::text, %s, 'phone-' || n, 'x', '17', now(), now() + interval '1 day',
            CASE WHEN %s THEN NULL ELSE now() END
        FROM generate_series(1, %s) AS n
        """,
        family_id,
        are_open,
        sent,
    )
    path, port = f"/ridehail.family.v1.PassengerFamilyService/{method}", harness.gateway.public_port
    headers = harness.session(uid=uid, phone_id="" if method == "CreateFamily" else "phone")
    body = MessageToDict(request, preserving_proto_field_name=True)
    return (
        await harness.grpc(path, request, headers, address=f"127.0.0.1:{port}"),
        await harness.http(port, f"/4.0/family/v1/{OWN_FAMILY[method]}", body, headers),
    )


async def share_refused(harness: Harness, **changes: str) -> tuple[SeenError, SeenError]:
    """A toggle that is refused after the family's only rider has shared a ride."""
    async with AsyncRouteSharingClient(harness.suite.address, ticket=harness.suite.ticket("api-proxy")) as api_proxy:
        await api_proxy.share_with_family(
            order_id="order", sharing_key="key", share_ride_with_family=True, yandex_uid="7", timeout=10
        )
    fields = {"order_id": "order", "sharing_key": "key", "yandex_uid": "7", **changes}
    request = route_sharing.ShareWithFamilyRequest(
        **fields, share_ride_with_family=route_sharing_pb2.ShareRideWithFamily(value=True)
    )
    path, headers = f"{ROUTE_SHARING}/ShareWithFamily", harness.ticket("api-proxy", "route-sharing")
    return await harness.both(path, "/share-with-family", request, headers)


async def sharing_key_not_found(harness: Harness) -> tuple[SeenError, SeenError]:
    """A passenger's call, both ways through the public listener; by JSON it is a GET."""
    path = "/ridehail.routesharing.v1.PassengerRouteSharingService/GetInfo"
    request, port = route_sharing.GetInfoRequest(sharing_key="nothing"), harness.gateway.public_port
    headers, http_path = harness.session(), "/4.0/order-route-sharing/v1/info?sharing_key=nothing"
    return (
        await harness.grpc(path, request, headers, address=f"127.0.0.1:{port}"),
        await harness.http(port, http_path, None, headers),
    )


async def too_many_states(harness: Harness) -> tuple[SeenError, SeenError]:
    await harness.suite.execute(
        """
        INSERT INTO user_state.personal_states (yandex_uid, revision, selected_category, tariffs, updated_at)
        SELECT 'large-' || number, 1, '', jsonb_build_object('a', jsonb_build_object('b', repeat('x', 60000))), now()
        FROM generate_series(1, 5) AS number
        """
    )
    return await harness.native(
        "/ridehail.userstate.v1.UserStateService/ListPersonalStates",
        user_state.ListPersonalStatesRequest(page_size=5, after_yandex_uid="large"),
        harness.ticket("admin", "user-state"),
    )


async def update_refused(harness: Harness, revision_id: str, **requirements: str) -> tuple[SeenError, SeenError]:
    request = user_state.UpdatePersonalStateRequest(
        yandex_uid="400",
        revision_id=revision_id,
        tariffs=[user_state_pb2.TariffSettings(category="econom", requirements=to_struct(requirements))],
    )
    path = "/ridehail.userstate.v1.UserStateService/UpdatePersonalState"
    return await harness.both(path, "/v1/personalstate/update", request, harness.ticket("api-proxy", "user-state"))


async def answers_differ(harness: Harness) -> tuple[SeenError, SeenError]:
    request = user_state.CompareJsonsRequest(
        request_id="request",
        kind="read",
        old=to_value({"a": 1}),
        new=to_value({"a": 2}),
        old_status=200,
        new_status=200,
    )
    path = "/ridehail.userstate.v1.UserStateService/CompareJsons"
    return await harness.both(path, "/internal/compare_jsons", request, harness.ticket("api-proxy", "user-state"))


async def change_agreement(harness: Harness, method: str, **fields: Any) -> tuple[SeenError, SeenError]:
    agreement = admin_eulas_pb2.Agreement(
        rejectable=False,
        eula_id="surge_il",
        type="surge",
        revision=1,
        ttl_s=60,
        title=dict.fromkeys(("en", "he", "ru"), "Surge"),
    )
    request = getattr(admin_eulas, f"{method}Request")(agreement=agreement, actor="anna", **fields)
    path = f"/ridehail.eulas.v1.AdminEulasService/{method}"
    http_path = f"/v1/admin/eulas/{method.removesuffix('Eula').lower()}"
    return await harness.both(path, http_path, request, harness.ticket("admin", "eulas"))


async def eulas_in_file(harness: Harness) -> tuple[SeenError, SeenError]:
    return await change_agreement(harness, "CreateEula")


async def agreement_refused(harness: Harness, method: str, **fields: Any) -> tuple[SeenError, SeenError]:
    """A change that is refused once the agreements of the file are in force in the database."""
    async with AsyncAdminEulasClient(harness.suite.address, ticket=harness.suite.ticket("admin")) as admin:
        await admin.import_eulas(actor="anna")
    edit(harness.suite.settings.config_dir / "eulas.yaml", {"EULAS_SOURCE": "database"})
    await until(lambda: REGISTRY.get_sample_value("ridehail_eulas_catalogue_version"))
    return await change_agreement(harness, method, **fields)


SCENARIOS: dict[str, Callable[[Harness], Awaitable[tuple[SeenError, SeenError | None]]]] = {
    "INVALID_REQUEST": lambda harness: harness.retrieve(harness.ticket(), order_id="a\nb"),
    "TICKET_MISSING": lambda harness: harness.retrieve({}),
    "TICKET_INVALID": lambda harness: harness.retrieve({"x-ya-service-ticket": "garbage"}),
    "TICKET_EXPIRED": expired_ticket,
    "TICKET_WRONG_DESTINATION": lambda harness: harness.retrieve(harness.ticket(destination="order-core")),
    "CALLER_NOT_ALLOWED": lambda harness: harness.retrieve(harness.ticket("routestats")),
    "PASSENGER_MISSING": passenger_missing,
    "SESSION_MISSING": lambda harness: harness.switch({}),
    "SESSION_INVALID": lambda harness: harness.switch({"authorization": "Bearer garbage"}),
    "SESSION_EXPIRED": lambda harness: harness.switch(harness.session(now=datetime.now(UTC) - timedelta(hours=2))),
    "GATEWAY_KEY_INVALID": gateway_key_invalid,
    "RATE_LIMITED": rate_limited,
    "ORDER_NOT_FOUND": lambda harness: harness.retrieve(harness.ticket()),
    "ORDER_OWNER_MISMATCH": order_owner_mismatch,
    "SERVICE_NOT_OWNED": service_not_owned,
    "SERVICE_NOT_FOUND": service_not_found,
    "ORDER_VERSION_CONFLICT": lambda harness: harness.set_fields(expected_version=2, unset=["a"]),
    "ORDER_FIELD_TYPE_MISMATCH": lambda harness: harness.set_fields(increment={"order.status": 1}),
    "ROAD_SWITCH_NOT_ALLOWED": switchable(can_switch_road=False),
    "ROAD_SWITCH_CONFLICT": switchable(**{"2026-11-20T12:00:00Z": True}),
    "PRICE_CHANGES_OUT_OF_ORDER": price_changes_out_of_order,
    "EULA_NOT_FOUND": lambda harness: answer_refused(harness, "nothing", "accepted"),
    "EULA_NOT_REJECTABLE": lambda harness: answer_refused(harness, "personal_data", "rejected"),
    "EULAS_IN_FILE": eulas_in_file,
    "EULA_ALREADY_EXISTS": lambda harness: agreement_refused(harness, "CreateEula"),
    "EULA_VERSION_CONFLICT": lambda harness: agreement_refused(harness, "UpdateEula", expected_version=7),
    "FAMILY_NOT_FOUND": lambda harness: family_refused(harness, "GetFamily", family.GetFamilyRequest(yandex_uid="400")),
    "ALREADY_IN_FAMILY": lambda harness: family_refused(
        harness,
        "CreateFamily",
        family.CreateFamilyRequest(admin=family_pb2.FamilyAdmin(yandex_uid="7", name="Ann"), phone_id="phone"),
    ),
    "FAMILY_FULL": lambda harness: family_refused(
        harness,
        "AddMember",
        family.AddMemberRequest(member=family_pb2.FamilyMember(yandex_uid="8", phone_id="phone", role="user")),
    ),
    "FAMILY_ADMIN_NOT_REMOVABLE": lambda harness: family_refused(
        harness, "RemoveMember", family.RemoveMemberRequest(yandex_uid="7")
    ),
    "NOT_FAMILY_OWNER": lambda harness: own_family_refused(
        harness, "18", "RenameOwner", family.RenameOwnerRequest(name="x")
    ),
    "INVITATION_NOT_FOUND": lambda harness: own_family_refused(
        harness, "18", "AcceptInvitation", family.AcceptInvitationRequest(invitation_id="nothing")
    ),
    "TOO_MANY_INVITATIONS": lambda harness: own_family_refused(
        harness, "17", "Invite", family.InviteRequest(phone_id="phone-99", name="x"), sent=10, are_open=True
    ),
    "INVITATION_RATE_EXCEEDED": lambda harness: own_family_refused(
        harness, "17", "Invite", family.InviteRequest(phone_id="phone-99", name="x"), sent=20
    ),
    "SESSION_INCOMPLETE": lambda harness: own_family_refused(
        harness, "19", "CreateFamily", family.PassengerFamilyServiceCreateFamilyRequest(name="x")
    ),
    "NOT_IN_FAMILY": lambda harness: share_refused(harness, yandex_uid="400"),
    "SHARING_KEY_CONFLICT": lambda harness: share_refused(harness, order_id="another"),
    "SHARING_KEY_NOT_FOUND": sharing_key_not_found,
    "REVISION_CONFLICT": lambda harness: update_refused(harness, "7"),
    "JSON_MISMATCH": answers_differ,
    "PERSONAL_STATE_TOO_LARGE": lambda harness: update_refused(harness, "0", long="x" * 65_536),
    "RESPONSE_TOO_LARGE": too_many_states,
    "USER_DATA_JOB_NOT_FOUND": lambda harness: harness.both(
        "/ridehail.userdata.v1.UserDataJobsService/GetUserDataJob",
        "/user-data/v1/job",
        user_data.GetUserDataJobRequest(job_id="none"),
        harness.ticket("admin", "user-data"),
    ),
    "OVERLOADED": overloaded,
    "DEADLINE_EXCEEDED": deadline_exceeded,
    "NEIGHBOUR_UNAVAILABLE": dependency_unavailable,
    "INTERNAL": internal,
    # The last one: it leaves the harness in ruins.
    "DATABASE_UNAVAILABLE": database_unavailable,
}


def test_the_table_of_this_test_is_complete() -> None:
    promised = catalogue()
    assert set(SCENARIOS) == set(promised)
    names = {name.removeprefix("ERROR_REASON_") for name in ErrorReason.DESCRIPTOR.values_by_name}
    assert set(promised) == names - {"UNSPECIFIED"}


@pytest.mark.timeout(400)
async def test_every_reason_matches_the_catalogue_by_grpc_and_through_the_gateway(harness: Harness) -> None:
    promised = catalogue()
    await put_order(harness, {"order": {"version": 3, "status": "driving"}})
    for reason, scenario in SCENARIOS.items():
        # What the last scenario left under way would take the places of this one's calls.
        await until(lambda: REGISTRY.get_sample_value("ridehail_rpc_in_flight") == 0)
        direct, through_gateway = await scenario(harness)
        assert (through_gateway is None) == (reason in NEVER_THROUGH_THE_GATEWAY), reason
        for seen in filter(None, (direct, through_gateway)):
            assert (seen.reason, seen.code) == (reason, promised[reason].code), seen
            assert seen.metadata.keys() == promised[reason].metadata_keys, seen
            assert seen.has_retry_info == (reason in RETRYABLE), seen
            assert seen.http_status in {None, promised[reason].http_status}, seen
