"""What the clients return."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from ridehail_clients.json_values import JsonObject


@dataclass(frozen=True, slots=True)
class OrderRoad:
    """The kind of road that an order goes by, as of its latest change.

    Attributes:
        order_id: The order.
        has_toll_road: True: by the toll road. False: by the free one.
        can_switch_road: Whether the rider may switch the road during the ride.
        created: When the latest change was made (UTC); None while roads are looked up by offer.
        stale: True: the service was not available, and this is the last state known of the order. False: the service
            just told it.
    """

    order_id: str
    has_toll_road: bool
    can_switch_road: bool
    created: datetime | None
    stale: bool = False


@dataclass(frozen=True, slots=True)
class OrderRoads:
    """The roads of many orders. Every requested id is in exactly one of the two lists.

    Attributes:
        orders: The orders that were found, in the order of the request.
        missing_order_ids: The others, in the order of the request.
    """

    orders: tuple[OrderRoad, ...]
    missing_order_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OrderFields:
    """Some fields of an order's document.

    Attributes:
        fields: The fields that the document has, nested as they are there.
        version: `order.version` of the document.
    """

    fields: JsonObject
    version: int


@dataclass(frozen=True, slots=True)
class OrderInfo:
    """What a caller needs to show an order.

    Attributes:
        order_id: The order.
        yandex_uid: The passenger whose order it is.
        status: `order.status`; empty when the document has none.
        sharing_key: `order.rsk`, the key under which the ride is shared; empty when the document has none.
    """

    order_id: str
    yandex_uid: str
    status: str
    sharing_key: str


@dataclass(frozen=True, slots=True)
class ActiveOrder:
    """An order that is still under way.

    Attributes:
        orderid: The order, unique within its service.
        status: Where it stands, in the service's own words.
        parts: The current version of each part of the order, by part name. Versions are opaque.
        details: What else the service tells about the order.
        sequence: The number of the order's latest change, which only grows; 0: the service does not number changes.
    """

    orderid: str
    status: str
    parts: dict[str, str]
    details: JsonObject
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class ActiveOrders:
    """A passenger's orders under way.

    Attributes:
        orders: The oldest first.
        can_make_more_orders: Whether the passenger may make one more; None: the service has no opinion.
        no_more_orders_reason: Why not, when not.
    """

    orders: tuple[ActiveOrder, ...]
    can_make_more_orders: bool | None
    no_more_orders_reason: str | None


class EulaFilter(StrEnum):
    """Which agreements are listed."""

    UNKNOWN = "unknown"
    """Those of the zone that the user has no valid decision on."""
    ACCEPTED = "accepted"
    """Those that the user has accepted, of all zones."""
    REJECTED = "rejected"
    """Those that the user has rejected, of all zones."""
    SIGNED = "signed"
    """Accepted and rejected."""
    ALL = "all"
    """Unknown and signed."""


class EulaState(StrEnum):
    """Where a user stands with an agreement."""

    UNKNOWN = "unknown"
    """No decision that is still valid. Never an answer."""
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Eula:
    """An agreement, as a user sees it. One that has left the configuration has neither type nor texts.

    Attributes:
        eula_id: The agreement.
        type: What kind of agreement it is, as in `surge`.
        status: Where the user stands.
        title: Its title, in the language of the request.
        text: Its text, in the language of the request.
        url: Where all of it can be read; empty: nowhere else.
        rejectable: Whether it may be rejected.
        valid_till: Until when the decision is valid (UTC); None: there is no decision.
        updated_at: When the decision was made (UTC); None: there is no decision.
    """

    eula_id: str
    type: str
    status: EulaState
    title: str
    text: str
    url: str
    rejectable: bool
    valid_till: datetime | None
    updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class EulaDecision:
    """A user's answer to an agreement.

    Attributes:
        eula_id: The agreement, 1 to 128 printable characters.
        status: `EulaState.ACCEPTED` or `EulaState.REJECTED`.
    """

    eula_id: str
    status: EulaState


@dataclass(frozen=True, slots=True)
class EulaStatus:
    """Where a user stands with an agreement, or with all agreements of a type.

    Attributes:
        eula_id: The agreement. Asked by type: the one that decided, empty when none did.
        type: The type; empty for an agreement that is not in the configuration.
        status: Where the user stands.
    """

    eula_id: str
    type: str
    status: EulaState


@dataclass(frozen=True, slots=True)
class HiddenTariff:
    """A tariff that is not shown.

    Attributes:
        tariff: The tariff.
        reason: Why, as in `eula_unknown` or `eulas_unavailable`; later servers may know further ones.
    """

    tariff: str
    reason: str


@dataclass(frozen=True, slots=True)
class RouteStats:
    """Which tariffs may be shown. Every tariff of the request is in exactly one of the two lists, once.

    Attributes:
        tariffs: Those that may be shown, in the order of the request.
        hidden: The others, in the order of the request.
    """

    tariffs: tuple[str, ...]
    hidden: tuple[HiddenTariff, ...]


@dataclass(frozen=True, slots=True)
class ZoneInfo:
    """What a zone asks of a rider.

    Attributes:
        need_acceptance: The agreements of the zone that the rider has yet to answer; None when that cannot be told,
            which is not the same as none.
    """

    need_acceptance: tuple[Eula, ...] | None


@dataclass(frozen=True, slots=True)
class FamilyAdmin:
    """The rider who pays for a family.

    Attributes:
        yandex_uid: The rider: a whole number of 1 to 18 digits.
        name: How the family calls the rider; shown to those whom a ride is shared with.
    """

    yandex_uid: str
    name: str


@dataclass(frozen=True, slots=True)
class FamilyMember:
    """A member of a family, the admin among them.

    Attributes:
        yandex_uid: The rider: a whole number of 1 to 18 digits.
        phone_id: The rider's phone.
        role: `owner`, the admin; or `user`.
    """

    yandex_uid: str
    phone_id: str
    role: str = "user"


@dataclass(frozen=True, slots=True)
class Family:
    """Who rides on whose account.

    Attributes:
        family_id: The family.
        admin: Who pays.
        members: All members, the admin first, then in the order in which they were added.
    """

    family_id: str
    admin: FamilyAdmin
    members: tuple[FamilyMember, ...]


@dataclass(frozen=True, slots=True)
class SharingFamily:
    """How a ride is shared with a family.

    Attributes:
        admin_name: How the family calls its admin, as of the latest sharing.
        admin_uid: The admin.
        sharing_on: Whether the ride is shared with the family now.
    """

    admin_name: str
    admin_uid: int
    sharing_on: bool


@dataclass(frozen=True, slots=True)
class SharingInfo:
    """Whom a ride is shared with.

    Attributes:
        phone_ids: The phones, each once, sorted.
        family: The family that it was last shared with, else the rider's; None: there is none, or it is not known.
        family_unknown: Whether the rider's family cannot be told, since family does not answer.
    """

    phone_ids: tuple[str, ...]
    family: SharingFamily | None
    family_unknown: bool = False


@dataclass(frozen=True, slots=True)
class SharedRide:
    """What an app shows of a shared ride.

    Attributes:
        order_id: The order.
        popup_title: The caption of the card.
    """

    order_id: str
    popup_title: str


@dataclass(frozen=True, slots=True)
class TariffSettings:
    """What a user has set for a tariff.

    Attributes:
        category: The tariff's category, as in `econom`.
        requirements: The user's requirements of a ride, by name.
    """

    category: str
    requirements: JsonObject


@dataclass(frozen=True, slots=True)
class PersonalState:
    """What a user has set for rides.

    Attributes:
        revision_id: To be sent with the next update: a whole number in decimal, "0" when nothing was ever set.
        selected_category: The chosen tariff; empty: none.
        tariffs: What is set for tariffs, each category once, in no order that means anything.
        body: The answer as JSON, as it was given: an object with these members. Equality does not look at it.
    """

    revision_id: str
    selected_category: str
    tariffs: tuple[TariffSettings, ...]
    body: JsonObject = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class PersonalStateCopy:
    """A user's personal state as one back end hands it to another.

    Attributes:
        yandex_uid: The user.
        revision_id: A whole number in decimal.
        selected_category: The chosen tariff; empty: none.
        tariffs: What is set for tariffs, each category once.
    """

    yandex_uid: str
    revision_id: str
    selected_category: str
    tariffs: tuple[TariffSettings, ...]


class ComparedKind(StrEnum):
    """What a request was whose two answers are compared."""

    READ = "read"
    WRITE = "write"
