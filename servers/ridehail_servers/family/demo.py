"""The demo's family."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from ridehail_clients import AlreadyInFamily, AsyncFamilyClient, FamilyAdmin, FamilyMember, FamilyNotFound
from ridehail_servers.chassis.service_definition import Demo, Example

# The rider of the demo's orders is a member, on the account of another; a third one is there to watch.
ADMIN = FamilyAdmin("4000000002", "Василий")
ADMIN_PHONE = "demo-phone-admin"
MEMBERS = (FamilyMember("4000000001", "demo-phone-rider"), FamilyMember("4000000003", "demo-phone-watcher"))


async def load_demo(demo: Demo) -> Sequence[Example]:
    """Creates a family of three, or adds those who are missing from it; riders of other families stay there."""
    async with AsyncFamilyClient(demo.grpc_address, ticket=demo.ticket_of("admin")) as family:
        try:
            family_id = (await family.get_family(yandex_uid=ADMIN.yandex_uid)).family_id
        except FamilyNotFound:
            family_id = await family.create_family(admin=ADMIN, phone_id=ADMIN_PHONE)
        for member in MEMBERS:
            with suppress(AlreadyInFamily):
                await family.add_member(family_id=family_id, member=member)
    return (
        demo.grpcurl(
            "who rides on whose account",
            "ridehail.family.v1.FamilyService/GetFamily",
            f'{{"yandex_uid": "{MEMBERS[0].yandex_uid}"}}',
            source="admin",
            destination="family",
        ),
        demo.passenger_curl(
            "the family, as one of its members sees it",
            "/4.0/family/v1/family",
            None,
            uid=MEMBERS[1].yandex_uid,
            phone_id=MEMBERS[1].phone_id,
        ),
        demo.passenger_curl(
            "its owner invites a phone",
            "/4.0/family/v1/invitation/send",
            '{"phone_id": "demo-phone-guest", "name": "Guest"}',
            uid=ADMIN.yandex_uid,
            phone_id=ADMIN_PHONE,
        ),
        demo.passenger_curl(
            "whoever has that phone sees the invitation, and accepts it at /4.0/family/v1/invitation/accept",
            "/4.0/family/v1/invitations",
            None,
            uid="4000000008",
            phone_id="demo-phone-guest",
        ),
    )
