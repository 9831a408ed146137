"""insert_order killed in mid-task: it runs again, and the result is that of one run."""

from __future__ import annotations

from ridehail_clients import SharingInfo
from tests.route_sharing.crashing import run_task
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
