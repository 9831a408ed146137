"""Calls about users' data."""

from __future__ import annotations

from ridehail_clients import (
    ErasedUserData,
    FoundUserData,
    RecordCount,
    ServiceReceipt,
    UserDataJob,
    UserErasure,
    UserExport,
    UserIdentifiers,
    UserRecord,
    UserRecords,
)
from tests.clients.cases.case import NOON, NOON_TEXT, Case, sent_as_given

_USER = UserIdentifiers("uid", ("phone",), ("order",))
_SENT_USER = {"yandex_uid": "uid", "phone_ids": ["phone"], "order_ids": ["order"]}
_START = {"yandex_uid": "uid", "phone_ids": ["phone"], "requested_by": "ticket 7"}
_RECORDS = {"records": [{"kind": "order", "content": '{"status": "done"}'}], "next_page_token": "next"}
_RECORDS_READ = UserRecords(records=(UserRecord("order", '{"status": "done"}'),), next_page_token="next")
_COUNT = [{"kind": "order", "records": 3}]
_COUNT_READ = (RecordCount("order", 3),)

CASES = [
    Case(
        "UserDataService/FindUserData",
        {"user": _USER, "after_order_id": "order"},
        {"user": _SENT_USER, "after_order_id": "order"},
        {"found": _COUNT, "has_active_orders": True, "pending": 2, "phone_ids": ["phone"], "order_ids": ["order"]},
        FoundUserData(found=_COUNT_READ, has_active_orders=True, pending=2, phone_ids=("phone",), order_ids=("order",)),
    ),
    Case(
        "UserDataService/ExportUserData",
        {"user": _USER, "page_token": "page"},
        {"user": _SENT_USER, "page_token": "page"},
        _RECORDS,
        _RECORDS_READ,
    ),
    Case(
        "UserDataService/EraseUserData",
        {"user": _USER},
        {"user": _SENT_USER},
        {"erased": _COUNT},
        ErasedUserData(erased=_COUNT_READ),
    ),
    sent_as_given(
        "UserDataJobsService/StartUserErasure",
        _START,
        {"job_id": "job", "receipt_key": "key"},
        UserErasure(job_id="job", receipt_key="key"),
    ),
    sent_as_given(
        "UserDataJobsService/StartUserExport",
        _START,
        {"job_id": "job", "receipt_key": "key", "services": ["eulas"]},
        UserExport(job_id="job", receipt_key="key", services=("eulas",)),
    ),
    sent_as_given(
        "UserDataJobsService/ReadUserExport",
        {"job_id": "job", "service": "eulas", "page_token": "page"},
        _RECORDS,
        _RECORDS_READ,
    ),
    sent_as_given("UserDataJobsService/FinishUserExport", {"job_id": "job"}),
    sent_as_given(
        "UserDataJobsService/GetUserDataJob",
        {"job_id": "job"},
        {
            "job_id": "job",
            "kind": "erasure",
            "pseudonym": "ab",
            "requested_by": "ticket 7",
            "state": "done",
            "waits_for": "settling",
            "passes": 2,
            "requested_at": NOON_TEXT,
            "ended_at": NOON_TEXT,
            "services": [
                {
                    "service": "eulas",
                    "found": _COUNT,
                    "erased": _COUNT,
                    "processed_at": NOON_TEXT,
                    "failure": "OVERLOADED",
                }
            ],
        },
        UserDataJob(
            job_id="job",
            kind="erasure",
            pseudonym="ab",
            requested_by="ticket 7",
            state="done",
            waits_for="settling",
            passes=2,
            requested_at=NOON,
            ended_at=NOON,
            services=(ServiceReceipt("eulas", _COUNT_READ, _COUNT_READ, NOON, "OVERLOADED"),),
        ),
    ),
]
