"""Receipts to messages."""

from __future__ import annotations

from collections.abc import Mapping

from ridehail.userdata.v1 import user_data_api_pb2 as api
from ridehail.userdata.v1 import user_data_pb2

from .receipt import Receipt, ServiceReceipt


def to_job(receipt: Receipt) -> api.GetUserDataJobResponse:
    job = receipt.job
    is_open = job.ended_at is None
    message = api.GetUserDataJobResponse(
        job_id=job.job_id,
        kind=job.kind,
        pseudonym=job.pseudonym,
        requested_by=job.requested_by,
        state="open" if is_open else "given_up" if job.given_up else "done",
        waits_for=job.waits_for or "",
        passes=job.passes,
        services=map(_to_service, receipt.services),
    )
    message.requested_at.FromDatetime(job.requested_at)
    if job.ended_at is not None:
        message.ended_at.FromDatetime(job.ended_at)
    return message


def _to_service(receipt: ServiceReceipt) -> user_data_pb2.ServiceReceipt:
    message = user_data_pb2.ServiceReceipt(
        service=receipt.service,
        found=_to_counts(receipt.found),
        erased=_to_counts(receipt.erased),
        failure=receipt.failure or "",
    )
    if receipt.processed_at is not None:
        message.processed_at.FromDatetime(receipt.processed_at)
    return message


def _to_counts(counts: Mapping[str, int]) -> list[user_data_pb2.RecordCount]:
    return [user_data_pb2.RecordCount(kind=kind, records=records) for kind, records in sorted(counts.items())]
