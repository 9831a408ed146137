"""Messages of families."""

from __future__ import annotations

from ridehail.family.v1 import family_pb2

from .membership import FamilySnapshot


def snapshot_to_message(snapshot: FamilySnapshot) -> family_pb2.FamilyState:
    admin = None
    if snapshot.admin_uid is not None:
        admin = family_pb2.FamilyAdmin(yandex_uid=snapshot.admin_uid, name=snapshot.admin_name)
    return family_pb2.FamilyState(
        family_id=snapshot.family_id,
        version=snapshot.version,
        admin=admin,
        members=[
            family_pb2.FamilyMembership(
                membership_id=one.membership_id, yandex_uid=one.yandex_uid, phone_id=one.phone_id
            )
            for one in snapshot.members
        ],
    )
