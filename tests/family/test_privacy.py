"""No phone, name, account or invitation in a line of the log, a metric, a task's arguments or an error's text."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import REGISTRY, generate_latest

from ridehail_clients import ServiceError
from tests.family.riders import Rider
from tests.support.log_capture import captured_logs
from tests.support.suite_in_process import SuiteInProcess

OWNER, GUEST, OTHER = "880000000000000001", "880000000000000002", "880000000000000003"
PHONES = ("phonecanary-owner", "phonecanary-guest", "phonecanary-other")
NAMES = ("Имяканарейки", "Гостьканарейки", "Новоеканарейки")


async def test_nothing_personal_leaves_the_service_but_in_responses(
    rider: Callable[..., Rider], suite: SuiteInProcess
) -> None:
    owner, guest, other = (rider(uid, phone) for uid, phone in zip((OWNER, GUEST, OTHER), PHONES, strict=True))
    errors: list[ServiceError] = []

    async def reason(who: Rider, method: str, **fields: str) -> str:
        try:
            await who.get(method, **fields)
        except ServiceError as error:
            errors.append(error)
            return error.reason
        return "OK"

    with captured_logs(level="DEBUG") as log:
        await owner.get("CreateFamily", name=NAMES[0])
        invitation = await owner.invite(PHONES[1], NAMES[1])
        assert await reason(guest, "AcceptInvitation", invitation_id=invitation) == "OK"
        assert await reason(owner, "RenameOwner", name=NAMES[2]) == "OK"
        assert {
            await reason(other, "AcceptInvitation", invitation_id=invitation),
            await reason(other, "GetFamily"),
            await reason(guest, "RenameOwner", name=NAMES[0]),
            await reason(owner, "Invite", phone_id=f"{PHONES[2]}\n", name=NAMES[0]),
            await reason(owner, "Invite", phone_id=PHONES[2], name=f"{NAMES[0]}\u202e"),
            await reason(rider(OTHER), "CreateFamily", name=NAMES[0]),
        } == {
            "INVITATION_NOT_FOUND",
            "FAMILY_NOT_FOUND",
            "NOT_FAMILY_OWNER",
            "INVALID_REQUEST",
            "SESSION_INCOMPLETE",
        }
        defect = f"ADD CONSTRAINT nobody CHECK (phone_id <> '{PHONES[2]}') NOT VALID"
        async with suite.altered(
            f"ALTER TABLE family.invitations {defect}", "ALTER TABLE family.invitations DROP CONSTRAINT nobody"
        ):
            assert await reason(owner, "Invite", phone_id=PHONES[2], name=NAMES[0]) == "INTERNAL"
        jobs = await suite.rows("SELECT args::text FROM family.procrastinate_jobs")

    assert log.events("unexpected error")
    metrics = generate_latest(REGISTRY).decode()
    assert 'ridehail_family_invitations_total{event="accepted"}' in metrics
    assert jobs
    told = "".join(f"{error} {error.metadata} {error.violations}" for error in errors)
    for planted in (OWNER, GUEST, OTHER, *PHONES, *NAMES, invitation):
        for text in (log.text, metrics, str(jobs), told):
            assert planted not in text
            assert planted.encode("unicode_escape").decode() not in text
