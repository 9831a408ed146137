"""The errors of eulas."""

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
    """The request names neither agreements nor types, or both."""

    def __init__(self) -> None:
        super().__init__(
            [FieldViolation("eula_ids", "exactly one of eula_ids and eula_types must be given", "eulas.one_question")]
        )
