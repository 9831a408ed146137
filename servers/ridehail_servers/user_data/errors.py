"""The errors of user_data."""

from ridehail_kernel.field_violation import FieldViolation
from ridehail_servers.chassis.errors import DomainError, InvalidRequest


class JobNotFound(DomainError):
    """There is no such job, or it is no open export."""

    def __init__(self, job_id: str) -> None:
        super().__init__("USER_DATA_JOB_NOT_FOUND", "no such export or erasure", {"job_id": job_id})


class NoSuchService(InvalidRequest):
    """No such service keeps users' data."""

    def __init__(self) -> None:
        super().__init__([FieldViolation("service", "keeps no data of users", "user_data.service")])


class BadPageToken(InvalidRequest):
    """The page token is none of the service."""

    def __init__(self) -> None:
        super().__init__([FieldViolation("page_token", "is none of this service", "user_data.page_token")])
