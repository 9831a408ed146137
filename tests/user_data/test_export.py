"""An export has all that services keep of a user, and nothing of others."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from ridehail_clients import InvalidRequest, UserDataJobNotFound
from ridehail_servers.chassis.user_data import PageStart, UserIdentifiers
from ridehail_servers.chassis.user_data_service import UserData
from ridehail_servers.reference.order_core.user_data_store import OrderCoreUserData
from tests.support.command_line import ridehail
from tests.user_data.conftest import SERVICES, Erasing
from tests.user_data.planted import NAME, ORDERS, OTHER_UID, PHONE, UID


async def exported(erasing: Erasing, job_id: str, service: str) -> list[tuple[str, Any]]:
    token, records = "", []
    while True:
        page = await erasing.client.read_user_export(job_id=job_id, service=service, page_token=token)
        records += [(one.kind, json.loads(one.content)) for one in page.records]
        token = page.next_page_token
        if not token:
            return records


async def test_an_export_has_the_records_of_every_service(erasing: Erasing) -> None:
    job = await erasing.client.start_user_export(yandex_uid=UID, requested_by="ticket 7")
    assert set(job.services) == set(SERVICES) - {"user-data"}
    found = {service: await exported(erasing, job.job_id, service) for service in job.services}
    await erasing.client.finish_user_export(job_id=job.job_id)

    assert all(found.values())
    assert [kind for kind, _ in found["eulas"]] == ["named_log_entry", "log_entry", "decision"]
    assert {record["order_id"] for _, record in found["order-core"]} == set(ORDERS)
    assert {record["order_id"] for _, record in found["toll-roads"]} == set(ORDERS)
    assert ("phone_of_shared_ride", {"phone_id": PHONE, "origin": "family"}) in found["route-sharing"]
    assert NAME in str(found["family"])
    assert OTHER_UID not in str(found)
    # The key of somebody else's ride opens it.
    assert "family-key" not in str(found["route-sharing"])


async def test_a_finished_export_keeps_the_receipt_only(erasing: Erasing) -> None:
    job = await erasing.client.start_user_export(yandex_uid=UID, requested_by="ticket 7")
    await exported(erasing, job.job_id, "eulas")
    await erasing.client.finish_user_export(job_id=job.job_id)
    await erasing.client.finish_user_export(job_id=job.job_id)

    receipt = await erasing.client.get_user_data_job(job_id=job.job_id)
    assert (receipt.kind, receipt.state) == ("export", "done")
    assert [one.service for one in receipt.services if one.processed_at] == ["eulas"]
    assert await erasing.suite.rows("SELECT FROM user_data.subjects") == []
    with pytest.raises(UserDataJobNotFound):
        await erasing.client.read_user_export(job_id=job.job_id, service="eulas")


async def test_an_export_that_nobody_finishes_is_given_up(erasing: Erasing) -> None:
    job = await erasing.client.start_user_export(yandex_uid=UID, requested_by="ticket 7")
    await erasing.work()

    assert (await erasing.client.get_user_data_job(job_id=job.job_id)).state == "given_up"
    assert await erasing.suite.rows("SELECT FROM user_data.subjects") == []


@pytest.mark.parametrize("token", ["?", "bm9uZQ==", PageStart("none", "").token(), PageStart("order", "\0").token()])
async def test_a_page_token_of_elsewhere_is_refused(erasing: Erasing, token: str) -> None:
    job = await erasing.client.start_user_export(yandex_uid=UID, requested_by="ticket 7")
    with pytest.raises(InvalidRequest) as refused:
        await erasing.client.read_user_export(job_id=job.job_id, service="order-core", page_token=token)
    assert [one.field for one in refused.value.violations] == ["page_token"]


async def test_a_service_that_keeps_nothing_is_refused(erasing: Erasing) -> None:
    job = await erasing.client.start_user_export(yandex_uid=UID, requested_by="ticket 7")
    with pytest.raises(InvalidRequest) as refused:
        await erasing.client.read_user_export(job_id=job.job_id, service="api-proxy")
    assert [one.field for one in refused.value.violations] == ["service"]


async def test_pages_have_every_record_once_whatever_its_size(erasing: Erasing) -> None:
    await erasing.suite.execute(
        """
        INSERT INTO order_core.orders
        SELECT 'page-' || n, 'pages', jsonb_build_object('order', jsonb_build_object('version', 1, 'status', 'failed'),
            'text', repeat('x', CASE WHEN n %% 10 = 0 THEN 400000 ELSE 1 END)), now(), now()
        FROM generate_series(1, 130) AS n WHERE %s
        """,
        True,
    )
    data = UserData(erasing.suite.database("order-core"), OrderCoreUserData())
    token, keys, pages = "", [], 0
    while True:
        page, token = await data.page(UserIdentifiers("pages"), token)
        assert sum(len(record.content) for record in page) <= 1 << 20
        keys += [record.key for record in page]
        pages += 1
        if not token:
            break
    assert sorted(keys) == sorted(f"page-{n}" for n in range(1, 131))
    assert 5 < pages < 20


async def test_the_command_writes_a_file_for_each_service_and_a_manifest(erasing: Erasing, tmp_path: Path) -> None:
    shared = ("--address", f"user-data={erasing.suite.address}", "--keys-dir", str(erasing.suite.settings.keys_dir))
    out = tmp_path / "out"
    arguments = ("user-data", "export", "--uid", UID, "--requested-by", "ticket 7", "--out", str(out), *shared)
    for _ in range(2):
        ended = await asyncio.to_thread(ridehail, *arguments)
        assert ended.returncode == 0, ended.stderr

    manifest = json.loads((out / "manifest.json").read_text())
    assert {file.name for file in out.iterdir()} == {"manifest.json", *(f"{one}.json" for one in manifest["services"])}
    assert manifest["services"]["eulas"]["records"] == {"named_log_entry": 1, "log_entry": 1, "decision": 1}
    assert len(json.loads((out / "eulas.json").read_text())) == 3
    about = ("user-data", "receipt", manifest["job_id"], "--receipt-key", manifest["receipt_key"], *shared)
    checked = await asyncio.to_thread(ridehail, *about, "--uid", UID)
    assert json.loads(checked.stdout)["state"] == "done"
    other = await asyncio.to_thread(ridehail, *about, "--uid", "1")
    assert (other.returncode, other.stdout) == (1, "")
    shown = await asyncio.to_thread(ridehail, "user-data", "status", manifest["job_id"], *shared)
    assert shown.stdout.startswith("export: state=done passes=0\n")
