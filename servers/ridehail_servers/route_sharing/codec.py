"""Messages of families."""

from __future__ import annotations

from ridehail.family.v1 import family_pb2

from .followed_family import FollowedAdmin, FollowedFamily, FollowedMember


def followed_family(message: family_pb2.FamilyState) -> FollowedFamily:
    admin = FollowedAdmin(int(message.admin.yandex_uid), message.admin.name) if message.HasField("admin") else None
    return FollowedFamily(
        family_id=message.family_id,
        version=message.version,
        admin=admin,
        members=tuple(FollowedMember(one.membership_id, one.yandex_uid, one.phone_id) for one in message.members),
    )
