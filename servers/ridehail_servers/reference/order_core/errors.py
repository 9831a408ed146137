"""Errors of order_core."""

from ridehail_servers.chassis.errors import DomainError


class OrderVersionConflict(DomainError):
    """The document is at another version than the update expects."""

    def __init__(self, order_id: str, *, current_version: int) -> None:
        super().__init__(
            "ORDER_VERSION_CONFLICT",
            f"the document is at version {current_version}",
            {"order_id": order_id, "current_version": str(current_version)},
        )


class OrderFieldTypeMismatch(DomainError):
    """The document holds a value of another kind than the update needs."""

    def __init__(self, order_id: str, *, path: str, needed: str) -> None:
        # The path is in the metadata only: it can be long, and all of a status has to fit into 8 KiB.
        super().__init__(
            "ORDER_FIELD_TYPE_MISMATCH",
            f"the document holds a value of another kind where the update needs {needed}",
            {"order_id": order_id, "path": path},
        )
