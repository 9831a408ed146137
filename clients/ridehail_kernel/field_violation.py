"""What a request did wrong."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One rule of the contract that the request broke.

    Attributes:
        field: Path of the field, as in `order_ids[3]`.
        description: What the field must be, for people.
        reason: Id of the rule, for programs, as in `string.id`.
    """

    field: str
    description: str
    reason: str
