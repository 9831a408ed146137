"""Messages of the admin to agreements, and what is stored to messages."""

from __future__ import annotations

from typing import Any

from ridehail.eulas.v1 import admin_eulas_api_pb2 as api
from ridehail.eulas.v1 import admin_eulas_pb2 as pb
from ridehail_servers.chassis.timestamps import to_timestamp

from .agreement_admin import UpdatePreview
from .agreement_rules import Agreement
from .eula_change import FileImport, StoredAgreement
from .resign_store import ResignRun
from .store import PastChange

_LISTS = ("countries", "zones", "tariffs")
_TEXTS = ("title", "text")
_PLAIN = ("eula_id", "type", "revision", "ttl_s", "rejectable", "url")


def to_entry(message: pb.Agreement) -> dict[str, Any]:
    """Returns an agreement as an entry of `EULAS`."""
    return {
        **{name: getattr(message, name) for name in _PLAIN},
        **{name: tuple(getattr(message, name)) for name in _LISTS},
        **{name: dict(getattr(message, name)) for name in _TEXTS},
    }


def from_agreement(agreement: Agreement) -> pb.Agreement:
    eula, position = agreement
    return pb.Agreement(position=position, **{name: getattr(eula, name) for name in (*_PLAIN, *_LISTS, *_TEXTS)})


def from_stored(stored: StoredAgreement) -> pb.AgreementRecord:
    return pb.AgreementRecord(
        agreement=from_agreement(stored.agreement),
        version=stored.version,
        asks_since=stored.asks_since,
        withdrawn=stored.is_withdrawn,
        source=stored.author.source,
        actor=stored.author.actor,
        changed_at=to_timestamp(stored.changed_at),
    )


def from_change(change: PastChange) -> pb.AgreementChange:
    return pb.AgreementChange(
        version=change.version,
        eula_id=change.agreement.eula.eula_id,
        kind=change.kind,
        source=change.author.source,
        actor=change.author.actor,
        changed_at=to_timestamp(change.changed_at),
        base_version=change.base_version,
        asks_again=change.asks_again,
        agreement=from_agreement(change.agreement),
    )


def from_run(run: ResignRun) -> pb.ResignRun:
    return pb.ResignRun(
        version=run.version,
        eula_id=run.eula_id,
        state="running" if run.finished_at is None else "done",
        expected=run.expected,
        checked=run.checked,
        marked=run.marked,
        requested_at=to_timestamp(run.requested_at),
        updated_at=to_timestamp(run.updated_at),
        finished_at=to_timestamp(run.finished_at),
    )


def from_preview(preview: UpdatePreview) -> api.PreviewEulaUpdateResponse:
    return api.PreviewEulaUpdateResponse(
        version=preview.version,
        changed_fields=preview.changed_fields,
        asks_again=preview.asks_again,
        riders=preview.riders.number,
        is_estimate=preview.riders.is_estimate,
    )


def from_import(found: FileImport) -> api.ImportEulasResponse:
    return api.ImportEulasResponse(
        created=found.created,
        updated=found.updated,
        unchanged=found.unchanged,
        kept=found.kept,
        not_in_file=found.not_in_file,
        incomplete=found.incomplete,
    )
