"""No phone, name, account or sharing key in a line of the log, a metric, a task's arguments or an error's text."""

from __future__ import annotations

from prometheus_client import REGISTRY, generate_latest

from ridehail_clients import FamilyAdmin, FamilyMember, ServiceError, SharedRide
from tests.route_sharing.harness import GET_INFO, Harness
from tests.support.calls import Metadata, call
from tests.support.log_capture import captured_logs
from tests.support.waiting import until

ADMIN_UID, RIDER_UID, OTHER_UID = "770000000000000001", "770000000000000002", "770000000000000003"
PHONES = ("phonecanary-admin", "phonecanary-rider", "phonecanary-friend")
NAME, KEY, OTHER_KEY = "Имяканарейки", "keycanary-1", "keycanary-2"
PERSONAL = (ADMIN_UID, RIDER_UID, OTHER_UID, *PHONES, NAME, KEY, OTHER_KEY)


class Callers:
    """The errors that callers receive."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self.errors: list[ServiceError] = []

    async def reason(self, call: object) -> str:
        try:
            await call  # type: ignore[misc]  # any call of a client
        except ServiceError as error:
            self.errors.append(error)
            return error.reason
        return "OK"

    async def share(self, *, key: str = KEY, order: str = "order", rider: str = RIDER_UID, on: bool = True) -> str:
        return await self.reason(
            self.harness.api_proxy.share_with_family(
                order_id=order, sharing_key=key, share_ride_with_family=on, yandex_uid=rider
            )
        )

    async def insert(self, *, key: str = KEY, order: str = "order", rider: str = RIDER_UID) -> str:
        return await self.reason(
            self.harness.processing.enqueue_insert_order(
                order_id=order, sharing_key=key, phone_ids=PHONES, yandex_uid=rider
            )
        )

    async def raw(self, path: str, request: bytes, metadata: Metadata) -> str:
        return await self.reason(call(self.harness.channel, path, request, metadata=metadata))


async def test_nothing_personal_leaves_the_services_but_in_responses(harness: Harness) -> None:
    callers, family = Callers(harness), harness.family
    with captured_logs(level="DEBUG") as log:
        async with harness.suite.worker():
            # Calls that go well ...
            admin = FamilyAdmin(ADMIN_UID, NAME)
            family_id = await harness.make_family(admin, PHONES[0], FamilyMember(RIDER_UID, PHONES[1]))
            assert [await callers.share(on=on) for on in (True, False, True)] == ["OK"] * 3
            assert await callers.insert() == "OK"
            await harness.idle()
            assert await harness.phones(KEY) == (PHONES[0], PHONES[2], PHONES[1])
            assert isinstance(await harness.watch(KEY, uid=OTHER_UID, phone_id=PHONES[2]), SharedRide)
            # ... that are refused ...
            reasons = {
                await callers.share(rider=OTHER_UID),
                await callers.share(order="another"),
                await callers.share(key=f"{KEY}\n"),
                await callers.insert(rider=f"{RIDER_UID}\0"),
                await callers.insert(order="another", rider=OTHER_UID),
                await callers.reason(family.create_family(admin=admin, phone_id=PHONES[0])),
                await callers.reason(family.get_family(yandex_uid=OTHER_UID)),
                await callers.reason(family.remove_member(family_id=family_id, yandex_uid=ADMIN_UID)),
                await callers.reason(family.add_member(family_id=family_id, member=FamilyMember(NAME, PHONES[0]))),
                await callers.raw(GET_INFO, b"\x0a" + KEY.encode(), harness.passenger(OTHER_UID, PHONES[0])),
                await callers.raw(GET_INFO, b"\x0a\x01x", harness.passenger(OTHER_UID, PHONES[0])),
                await callers.raw(GET_INFO, b"\x0a\x01x", (*harness.ticket("admin"), ("x-yandex-uid", OTHER_UID))),
            }
            assert reasons >= {
                "NOT_IN_FAMILY",
                "SHARING_KEY_CONFLICT",
                "SHARING_KEY_NOT_FOUND",
                "INVALID_REQUEST",
                "ALREADY_IN_FAMILY",
                "FAMILY_NOT_FOUND",
                "FAMILY_ADMIN_NOT_REMOVABLE",
                "CALLER_NOT_ALLOWED",
                "OK",
            }
            await harness.idle()
            # ... and that meet a defect.
            await harness.suite.execute(
                f"""
                ALTER TABLE order_route_sharing.family_rides ADD CONSTRAINT nobody
                    CHECK (sharing_key <> '{OTHER_KEY}') NOT VALID;
                ALTER TABLE order_route_sharing.family_members ADD CONSTRAINT nobody
                    CHECK (phone_id <> '{PHONES[0]}') NOT VALID;
                ALTER TABLE order_route_sharing.phone_ids ADD CONSTRAINT nobody
                    CHECK (phone_id <> '{PHONES[0]}') NOT VALID;
                ALTER TABLE family.members ADD CONSTRAINT nobody CHECK (phone_id <> '{PHONES[0]}') NOT VALID;
                """
            )
            assert await callers.share(key=OTHER_KEY) == "INTERNAL"
            assert await callers.insert(key=OTHER_KEY) == "OK"
            stranger = FamilyMember(OTHER_UID, PHONES[0])
            assert await callers.reason(family.add_member(family_id=family_id, member=stranger)) == "INTERNAL"
            # What route_sharing cannot store is tried again.
            stranger = FamilyMember(OTHER_UID, PHONES[2])
            assert await callers.reason(family.add_member(family_id=family_id, member=stranger)) == "OK"
            await until(lambda: log.events("task failed for now"))
            await harness.suite.execute("ALTER TABLE order_route_sharing.family_members DROP CONSTRAINT nobody")
            await harness.idle()
        jobs = await harness.suite.rows("SELECT args::text FROM order_route_sharing.procrastinate_jobs")

    assert log.events("task refused")
    assert log.events("task failed")
    assert log.events("unexpected error")
    metrics = generate_latest(REGISTRY).decode()
    assert 'task="insert_order"' in metrics
    assert jobs
    errors = "".join(f"{error} {error.metadata} {error.violations}" for error in callers.errors)
    for planted in PERSONAL:
        for text in (log.text, metrics, str(jobs), errors):
            assert planted not in text
            assert planted.encode("unicode_escape").decode() not in text
