"""Orders and the limits of their details."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ridehail_kernel.field_violation import FieldViolation
from ridehail_kernel.json_values import JsonObject
from ridehail_servers.chassis.errors import InvalidRequest
from ridehail_servers.chassis.json_limits import DetailsBudget, exceeds

MAX_DETAILS_BYTES: Final = 64 * 1024
"""Of an order's details as JSON."""


@dataclass(frozen=True, slots=True)
class Order:
    """An order to be stored. The constructor checks that its details can be stored and listed.

    Attributes:
        parts: The version of each part, by part name.
        details: Further facts for apps.

    Raises:
        InvalidRequest: The details are larger than MAX_DETAILS_BYTES, or have more values than a list may hold.
    """

    orderid: str
    yandex_uid: str
    status: str
    parts: Mapping[str, str]
    details: JsonObject
    finished: bool

    def __post_init__(self) -> None:
        # So that a list with this order alone still has its details.
        if exceeds(self.details, max_bytes=MAX_DETAILS_BYTES, max_values=DetailsBudget.MAX_VALUES):
            description = f"must be at most 64 KiB of JSON and {DetailsBudget.MAX_VALUES} values"
            raise InvalidRequest([FieldViolation("details", description, "put_order.details_size")])


@dataclass(frozen=True, slots=True)
class ActiveOrder:
    """An order that has not ended.

    Attributes:
        parts: The version of each part, by part name.
        details: Further facts, or None if they are omitted because those of the orders before are large.
        sequence: The number of its latest change.
    """

    orderid: str
    status: str
    parts: Mapping[str, str]
    details: JsonObject | None
    sequence: int
