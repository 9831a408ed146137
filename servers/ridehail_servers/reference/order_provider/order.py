"""What an order is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ridehail_clients.json_values import JsonObject
from ridehail_servers.chassis.documents import json_bytes, unfit_values
from ridehail_servers.chassis.errors import FieldViolation, InvalidRequest

LARGEST_DETAILS_BYTES: Final = 64 * 1024
"""Of an order's details as JSON."""


@dataclass(frozen=True, slots=True)
class Order:
    """An order, as it is put. It exists only if its details can be kept and told.

    Attributes:
        orderid: The order.
        yandex_uid: The passenger whose order it is.
        status: Where it stands.
        parts: The version of each part, by part name.
        details: What else is told of it.
        finished: Whether it has ended.

    Raises:
        InvalidRequest: The details hold what a document cannot hold, or are larger than LARGEST_DETAILS_BYTES.
    """

    orderid: str
    yandex_uid: str
    status: str
    parts: Mapping[str, str]
    details: JsonObject
    finished: bool

    def __post_init__(self) -> None:
        violations = list(unfit_values("details", self.details, level=1))
        if not violations and json_bytes(self.details) > LARGEST_DETAILS_BYTES:
            violations.append(FieldViolation("details", "must be at most 64 KiB of JSON", "put_order.details_size"))
        if violations:
            raise InvalidRequest(violations)


@dataclass(frozen=True, slots=True)
class ActiveOrder:
    """An order that is under way.

    Attributes:
        orderid: The order.
        status: Where it stands.
        parts: The version of each part, by part name.
        details: What else is told of it.
        sequence: The number of its latest change.
    """

    orderid: str
    status: str
    parts: Mapping[str, str]
    details: JsonObject
    sequence: int
