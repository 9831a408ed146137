"""Tasks killed in mid-run: they run again, and the result is that of one run."""

from __future__ import annotations

from ridehail_clients import FamilyAdmin, FamilyMember, SharingInfo
from tests.route_sharing.crashing import publish, run_task
from tests.route_sharing.harness import Harness
from tests.support.crash_injector import died


async def test_the_task_may_die_after_any_of_its_steps_and_runs_again(harness: Harness) -> None:
    url = harness.suite.database_url
    deaths, committed = 0, []
    for steps in range(1, 20):
        key = f"key-{steps}"
        await harness.processing.enqueue_insert_order(
            order_id=key, sharing_key=key, phone_ids=["phone-1", "phone-2"], yandex_uid="1"
        )
        ((request_id,),) = await harness.suite.rows("SELECT request_id FROM order_route_sharing.insert_order_requests")
        if not died(run_task(url, int(str(request_id)), crash_after=steps), url):
            break
        deaths += 1
        # All of it is there, or nothing.
        left = await harness.suite.rows("SELECT 1 FROM order_route_sharing.insert_order_requests")
        assert await harness.phones(key) == (() if left else ("phone-1", "phone-2"))
        committed.append(not left)
        await harness.run_tasks()
        assert await harness.info(key) == SharingInfo(("phone-1", "phone-2"), None)
        assert (await harness.tables())["insert_order_requests"] == []
    # The request's lock, the key, the phones, the request's end, the commit.
    assert (deaths, committed) == (5, [False, False, False, False, True])


async def test_the_publication_of_a_family_may_die_after_any_step_of_either_side_and_runs_again(
    harness: Harness,
) -> None:
    url = harness.suite.database_url
    family_id = await harness.make_family(FamilyAdmin("7", "Ann"), "phone-admin", FamilyMember("1", "phone-rider"))
    assert await harness.share(True) == "OK"
    before: tuple[str, ...] = ("phone-admin",)
    deaths, arrived = 0, []
    for steps in range(1, 20):
        # Each change takes one phone away and brings another.
        if steps > 1:
            await harness.family.remove_member(family_id=family_id, yandex_uid=f"{100 + steps - 1}")
        phone = f"phone-{100 + steps}"
        member = FamilyMember(f"{100 + steps}", phone)
        await harness.family.add_member(family_id=family_id, member=member)
        ((number, version),) = await harness.suite.rows("SELECT family_number, version FROM family.families")
        if not died(publish(url, int(str(number)), crash_after=steps), url):
            break
        deaths += 1
        after = (phone, "phone-admin")
        # The ride is shared with the family as it was or as it is, whole.
        assert await harness.phones() in {before, after}
        arrived.append(await harness.phones() == after)
        await harness.settle()
        assert await harness.phones() == after
        published = await harness.suite.rows("SELECT published_version, unpublished_since FROM family.families")
        assert published == [(version, None)]
        before = after
    # Reading the change; the family, its old and its new members, the commit; the confirmation, the commit.
    assert (deaths, arrived) == (7, [False] * 4 + [True] * 3)
