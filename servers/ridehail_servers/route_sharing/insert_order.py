"""What the task insert_order is to insert."""

from __future__ import annotations

from dataclasses import dataclass

from .ride import Ride


@dataclass(frozen=True, slots=True)
class InsertOrder:
    """A ride and the phones that its order is shared with.

    Attributes:
        ride: The ride.
        phone_ids: The phones; may be empty.
    """

    ride: Ride
    phone_ids: tuple[str, ...]
