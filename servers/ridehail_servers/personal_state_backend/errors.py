"""Errors that both back ends return."""

from ridehail_servers.chassis.errors import DomainError


class RevisionConflict(DomainError):
    """The state is at another revision than the update expects."""

    def __init__(self, current_revision: int) -> None:
        super().__init__(
            "REVISION_CONFLICT",
            f"the state is of revision {current_revision}",
            {"current_revision_id": str(current_revision)},
        )


class PersonalStateTooLarge(DomainError):
    def __init__(self, *, max_bytes: int, max_tariffs: int, max_values: int) -> None:
        super().__init__(
            "PERSONAL_STATE_TOO_LARGE",
            f"a state has at most {max_bytes} bytes of JSON, {max_values} values and {max_tariffs} tariffs",
            {"max_bytes": str(max_bytes), "max_tariffs": str(max_tariffs), "max_values": str(max_values)},
        )
