"""The jobs of `ridehail user-data`. Functions raise UsageError if the service refuses a call or is unavailable."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import typer

from ridehail_clients import ServiceError, UserDataJob, UserDataJobsClient, UserExport
from ridehail_servers.chassis import logs
from ridehail_servers.chassis.clock import system_clock
from ridehail_servers.user_data.receipt import pseudonym

from .options import UsageError
from .running_server import RunningServer


def export(server: RunningServer, uid: str, phones: Sequence[str], requested_by: str, out: Path) -> None:
    """Writes a file for each service and then the manifest; what an earlier run left is written anew."""
    with _client(server) as client:
        job = client.start_user_export(yandex_uid=uid, phone_ids=phones, requested_by=requested_by)
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
        (out / "manifest.json").unlink(missing_ok=True)
        files = {service: _write_service(client, job, service, out) for service in job.services}
        client.finish_user_export(job_id=job.job_id)
        manifest = {
            "job_id": job.job_id,
            "receipt_key": job.receipt_key,
            "requested_by": requested_by,
            "exported_at": system_clock().isoformat(),
            "services": files,
        }
        _write_whole(out / "manifest.json", json.dumps(manifest, indent=2) + "\n")
    records = sum(sum(file["records"].values()) for file in files.values())
    typer.echo(f"export: job={job.job_id} services={len(files)} records={records} in {out}")


def erase(server: RunningServer, uid: str, phones: Sequence[str], requested_by: str) -> None:
    """Starts an erasure, or finds the one that goes on."""
    with _client(server) as client:
        job = client.start_user_erasure(yandex_uid=uid, phone_ids=phones, requested_by=requested_by)
    typer.echo(f"erase: job={job.job_id} receipt_key={job.receipt_key}")


def status(server: RunningServer, job_id: str) -> None:
    """Prints a line for a job and one for each service."""
    with _client(server) as client:
        job = client.get_user_data_job(job_id=job_id)
    waits = f" waits_for={job.waits_for}" if job.waits_for else ""
    typer.echo(f"{job.kind}: state={job.state}{waits} passes={job.passes}")
    for service in job.services:
        counts = " ".join(f"{one.kind}={one.records}" for one in service.erased or service.found)
        failure = f" failure={service.failure}" if service.failure else ""
        typer.echo(f"{service.service}: {'erased' if service.erased else 'found'} {counts or 'nothing'}{failure}")


def receipt(server: RunningServer, job_id: str, uid: str | None, receipt_key: str | None) -> None:
    """Prints a receipt, after a check that it is about the given user."""
    with _client(server) as client:
        job = client.get_user_data_job(job_id=job_id)
    if uid is not None and receipt_key is not None and not _is_about(job, uid, receipt_key):
        raise UsageError("the receipt is not about this user, or the key is another one's")
    typer.echo(json.dumps(asdict(job), indent=2, default=_as_text))


def _is_about(job: UserDataJob, uid: str, receipt_key: str) -> bool:
    return hmac.compare_digest(job.pseudonym, pseudonym(receipt_key, uid))


def _write_service(client: UserDataJobsClient, job: UserExport, service: str, out: Path) -> dict[str, Any]:
    """Writes a service's records, an array of {kind, content}; returns what the manifest says of the file."""
    counts: Counter[str] = Counter()
    token, texts = "", []
    while True:
        page = client.read_user_export(job_id=job.job_id, service=service, page_token=token)
        for record in page.records:
            counts[record.kind] += 1
            texts.append(f'{{"kind": {json.dumps(record.kind)}, "content": {record.content}}}')
        token = page.next_page_token
        if not token:
            break
    content = "[" + ",\n".join(texts) + "]\n"
    _write_whole(out / f"{service}.json", content)
    sha256 = hashlib.sha256(content.encode()).hexdigest()
    return {"file": f"{service}.json", "sha256": sha256, "records": dict(counts)}


def _write_whole(file: Path, content: str) -> None:
    """Writes a file that is there whole or not at all."""
    partial = file.with_name(f"{file.name}.partial")
    partial.write_text(content)
    partial.replace(file)


@contextmanager
def _client(server: RunningServer) -> Iterator[UserDataJobsClient]:
    logs.configure(service="user-data", level="WARNING")
    try:
        with server.sync_channel() as channel:
            yield UserDataJobsClient(channel, ticket=server.tickets())
    except ServiceError as error:
        raise UsageError(str(error)) from error


def _as_text(value: object) -> str:
    assert isinstance(value, datetime)
    return value.isoformat()
