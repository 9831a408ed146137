"""What a rider requests of the personal state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ridehail_clients import ComparedKind, TariffSettings
from ridehail_kernel.field_violation import FieldViolation
from ridehail_servers.chassis.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Change:
    """What a rider changes.

    Attributes:
        revision_id: The revision that the app saw.
        selected_category: The tariff to choose; empty: none; None: as before.
        tariffs: Settings that replace those of the same tariffs.
    """

    revision_id: str
    selected_category: str | None
    tariffs: Sequence[TariffSettings]


@dataclass(frozen=True, slots=True)
class RiderRequest:
    """A rider's request; without a change the state is only read."""

    yandex_uid: str
    change: Change | None

    @property
    def kind(self) -> ComparedKind:
        """Whether it is a read or a write."""
        return ComparedKind.READ if self.change is None else ComparedKind.WRITE


def rider_request(
    yandex_uid: str,
    *,
    revision_id: str | None,
    selected_category: str | None,
    tariffs: Sequence[TariffSettings],
) -> RiderRequest:
    """Returns a read if there is no revision, else a write.

    Raises:
        InvalidRequest: There are settings without a revision.
    """
    if revision_id is not None:
        return RiderRequest(yandex_uid, Change(revision_id, selected_category, tariffs))
    if selected_category is None and not tariffs:
        return RiderRequest(yandex_uid, None)
    violation = FieldViolation("revision_id", "must be given together with settings", "personal_state.revision_id")
    raise InvalidRequest([violation])
