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
    sharing_on: bool = False
    family: tuple[str, str, int] | None = None
    """The family that it was last shared with, and as whose which membership."""


@dataclass
class Model:
    """Everything there is: families, whose members have a phone and a membership, rides, and refused reports of orders.

    Rides follow their families at once.
    """

    admins: dict[str, str]
    members: dict[str, dict[str, tuple[str, int]]]
    memberships: int = 0
    names: dict[str, str] = field(default_factory=dict)
    rides: dict[str, ModelRide] = field(default_factory=dict)
    refused: int = 0

    def call(self, call: Call) -> str:
        """Does a call; returns OK or a reason."""
        name, *arguments = call
        return str(getattr(self, name)(*arguments))

    def join(self, family: str, rider: str, phone: str) -> str:
        if any(rider in members for name, members in self.members.items() if name != family):
            return "ALREADY_IN_FAMILY"
        if rider not in self.members[family]:
            self.memberships += 1
        _phone, membership = self.members[family].get(rider, ("", self.memberships))
        self.members[family][rider] = (phone, membership)
        return "OK"

    def leave(self, family: str, rider: str) -> str:
        if self.admins[family] == rider:
            return "FAMILY_ADMIN_NOT_REMOVABLE"
        self.members[family].pop(rider, None)
        return "OK"

    def quit(self, family: str, rider: str) -> str:
        """Leaves as a passenger: who is not in the family has nothing to leave."""
        return self.leave(family, rider) if rider in self.members[family] else "OK"

    def rename(self, family: str, rider: str, name: str) -> str:
        own = next((one for one, members in self.members.items() if rider in members), None)
        if own is None:
            return "FAMILY_NOT_FOUND"
        if self.admins[own] != rider:
            return "NOT_FAMILY_OWNER"
        self.names[own] = name
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
        ride.family = (family, rider, self.members[family][rider][1])
        ride.sharing_on = True
        return "OK"

    def off(self, key: str, order: str, _rider: str) -> str:
        ride = self.rides.get(key)
        if ride is None:
            return "OK"
        if ride.order != order:
            return "SHARING_KEY_CONFLICT"
        ride.sharing_on = False
        return "OK"

    def insert(self, key: str, order: str, rider: str | None, phones: tuple[str, ...]) -> str:
        ride = self.rides.setdefault(key, ModelRide(order, rider))
        if ride.order != order:
            self.refused += 1
        else:
            ride.rider = ride.rider or rider
            ride.order_phones |= set(phones)
        return "OK"

    def family_of(self, ride: ModelRide) -> str | None:
        """Returns the family that a ride was last shared with, if the rider has been in it since."""
        if ride.family is None:
            return None
        family, rider, membership = ride.family
        is_member = rider in self.members[family] and self.members[family][rider][1] == membership
        return family if is_member else None

    def phones(self, ride: ModelRide) -> set[str]:
        family = self.family_of(ride)
        if family is None or ride.family is None or not ride.sharing_on:
            return ride.order_phones
        phones = {phone for phone, _membership in self.members[family].values()}
        return ride.order_phones | (phones - {self.members[family][ride.family[1]][0]})

    def info(self, key: str) -> tuple[list[str], tuple[str, int, bool] | None]:
        ride = self.rides.get(key)
        if ride is None:
            return [], None
        shared_with = self.family_of(ride)
        own = next((name for name in self.members if ride.rider in self.members[name]), None)
        family = shared_with or own
        is_on = ride.sharing_on and shared_with is not None
        shown = (
            None if family is None else (self.names.get(family, f"admin of {family}"), int(self.admins[family]), is_on)
        )
        return sorted(self.phones(ride)), shown

    def watched(self, key: str, rider: str, phone: str) -> str:
        """Returns the order that a passenger is shown."""
        ride = self.rides.get(key)
        if ride is None or (ride.rider != rider and phone not in self.phones(ride)):
            return "SHARING_KEY_NOT_FOUND"
        return ride.order
