"""What eulas refuses."""

from ridehail_servers.chassis.errors import DomainError, FieldViolation, InvalidRequest


class EulaNotFound(DomainError):
    """No such agreement is configured."""

    def __init__(self, eula_id: str) -> None:
        super().__init__("EULA_NOT_FOUND", "no such agreement", {"eula_id": eula_id})


class EulaNotRejectable(DomainError):
    """The agreement can be accepted or left unanswered, but not rejected."""

    def __init__(self, eula_id: str) -> None:
        super().__init__("EULA_NOT_REJECTABLE", "the agreement cannot be rejected", {"eula_id": eula_id})


class ZoneNameMissing(InvalidRequest):
    """The filter shows what the user has to see, which depends on the zone, and no zone is given."""

    def __init__(self, wanted: str) -> None:
        super().__init__([FieldViolation("zone_name", f"is required for the filter {wanted}", "eulas.zone_name")])


class NotOneQuestion(InvalidRequest):
    """Neither agreements nor types are asked for, or both."""

    def __init__(self) -> None:
        super().__init__(
            [FieldViolation("eula_ids", "exactly one of eula_ids and eula_types must be given", "eulas.one_question")]
        )
