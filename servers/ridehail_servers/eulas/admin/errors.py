"""The errors of changes of agreements."""

from ridehail_servers.chassis.errors import DomainError


class EulaAlreadyExists(DomainError):
    """There is an agreement with this id, in force or withdrawn."""

    def __init__(self, eula_id: str) -> None:
        super().__init__("EULA_ALREADY_EXISTS", "there is such an agreement already", {"eula_id": eula_id})


class EulaVersionConflict(DomainError):
    """The agreement has been changed since the version that the change starts from."""

    def __init__(self, eula_id: str, current_version: int) -> None:
        metadata = {"eula_id": eula_id, "current_version": str(current_version)}
        super().__init__("EULA_VERSION_CONFLICT", "the agreement has been changed meanwhile", metadata)


class EulasInFile(DomainError):
    """The agreements of the configuration file are in force, so a change of the others would do nothing."""

    def __init__(self) -> None:
        super().__init__("EULAS_IN_FILE", "the agreements of the configuration file are in force")
