"""The errors of eulas."""

from collections.abc import Iterable

from ridehail_kernel.field_violation import FieldViolation
from ridehail_servers.chassis.errors import DomainError, InvalidRequest


class EulaNotFound(DomainError):
    """No such agreement is configured."""

    def __init__(self, eula_id: str) -> None:
        super().__init__("EULA_NOT_FOUND", "no such agreement", {"eula_id": eula_id})


class EulaNotRejectable(DomainError):
    """The agreement can be accepted or left undecided, but not rejected."""

    def __init__(self, eula_id: str) -> None:
        super().__init__("EULA_NOT_REJECTABLE", "the agreement cannot be rejected", {"eula_id": eula_id})


class ZoneNameMissing(InvalidRequest):
    """The filter needs a zone and none is given: what the user has to see depends on it."""

    def __init__(self, wanted: str) -> None:
        super().__init__([FieldViolation("zone_name", f"is required for the filter {wanted}", "eulas.zone_name")])


class IdsOrTypesRequired(InvalidRequest):
    """A check names neither agreements nor types, or both; `fields` are the paths of such checks' `eula_ids`."""

    def __init__(self, fields: Iterable[str]) -> None:
        reason = "exactly one of eula_ids and eula_types must be given"
        super().__init__([FieldViolation(field, reason, "eulas.one_question") for field in fields])
