"""What family and route_sharing must do, written a second time and as simply as can be, to measure the real thing by.

Nothing here is shared with the servers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Call = tuple[Any, ...]
"""The name of a method of the model, and its arguments."""


@dataclass
class ModelRide:
    """A ride whose key is known."""

    order: str
    rider: str | None
    order_phones: set[str] = field(default_factory=set)
    family_phones: set[str] = field(default_factory=set)
    family: tuple[str, int, bool] | None = None


@dataclass
class Model:
    """Everything there is: families, rides, and how many reports of orders were refused."""

    admins: dict[str, str]
    members: dict[str, dict[str, str]]
    rides: dict[str, ModelRide] = field(default_factory=dict)
    refused: int = 0

    def call(self, call: Call) -> str:
        """Does a call; returns OK or a reason."""
        name, *arguments = call
        return str(getattr(self, name)(*arguments))

    def join(self, family: str, rider: str, phone: str) -> str:
        if any(rider in members for name, members in self.members.items() if name != family):
            return "ALREADY_IN_FAMILY"
        self.members[family][rider] = phone
        return "OK"

    def leave(self, family: str, rider: str) -> str:
        if self.admins[family] == rider:
            return "FAMILY_ADMIN_NOT_REMOVABLE"
        self.members[family].pop(rider, None)
        return "OK"

    def on(self, key: str, order: str, rider: str) -> str:
        of_rider = [name for name, members in self.members.items() if rider in members]
        if not of_rider:
            return "NOT_IN_FAMILY"
        ride = self.rides.setdefault(key, ModelRide(order, rider))
        if ride.order != order:
            return "SHARING_KEY_CONFLICT"
        ride.rider = ride.rider or rider
        (family,) = of_rider
        members = self.members[family]
        ride.family_phones = {phone for phone in members.values() if phone != members[rider]}
        ride.family = (f"admin of {family}", int(self.admins[family]), True)
        return "OK"

    def off(self, key: str, order: str, _rider: str) -> str:
        ride = self.rides.get(key)
        if ride is None:
            return "OK"
        if ride.order != order:
            return "SHARING_KEY_CONFLICT"
        ride.family_phones = set()
        if ride.family is not None:
            ride.family = (ride.family[0], ride.family[1], False)
        return "OK"

    def insert(self, key: str, order: str, rider: str | None, phones: tuple[str, ...]) -> str:
        ride = self.rides.setdefault(key, ModelRide(order, rider))
        if ride.order != order:
            self.refused += 1
        else:
            ride.rider = ride.rider or rider
            ride.order_phones |= set(phones)
        return "OK"

    def info(self, key: str) -> tuple[list[str], tuple[str, int, bool] | None]:
        ride = self.rides.get(key)
        if ride is None:
            return [], None
        of_rider = [
            (f"admin of {name}", int(self.admins[name]), False)
            for name in self.members
            if ride.rider in self.members[name]
        ]
        return sorted(ride.order_phones | ride.family_phones), ride.family or next(iter(of_rider), None)

    def watched(self, key: str, rider: str, phone: str) -> str:
        """Returns the order that a passenger is shown."""
        ride = self.rides.get(key)
        if ride is None or (ride.rider != rider and phone not in ride.order_phones | ride.family_phones):
            return "SHARING_KEY_NOT_FOUND"
        return ride.order
