"""Every RPC of the contracts, with an example of a call."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import Default

from ridehail.common.v1 import error_reason_pb2
from ridehail_clients import (
    ComparedKind,
    EulaDecision,
    EulaFilter,
    EulaState,
    FamilyAdmin,
    FamilyMember,
    KnownOrder,
    PersonalStateCopy,
    TariffSettings,
)

DESCRIPTORS = Path(error_reason_pb2.__file__).parents[2] / "descriptors.binpb"
MOMENT = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)

_SETTINGS = TariffSettings("econom", {"nosmoking": True})
_COPY = PersonalStateCopy("uid", "1", "econom", (_SETTINGS,))

_STATE_EXAMPLES: dict[str, dict[str, Any]] = {
    "GetPersonalState": {"yandex_uid": "uid"},
    "UpdatePersonalState": {"yandex_uid": "uid", "revision_id": "0", "tariffs": [_SETTINGS]},
    "ListPersonalStates": {"page_size": 10, "changed_since": MOMENT},
    "ImportPersonalStates": {"states": [_COPY]},
}

EXAMPLES: dict[str, dict[str, Any]] = {
    "TollRoadsService/SaveOffer": {"offer_id": "offer"},
    "TollRoadsService/RetrieveOrder": {"order_id": "order"},
    "TollRoadsService/BatchRetrieveOrders": {"order_ids": ["first", "second"]},
    "TollRoadsService/EnqueueOrderSave": {
        "order_id": "order",
        "created": MOMENT,
        "can_switch_road": True,
        "user_chose_toll_road": False,
    },
    "PassengerTollRoadsService/SwitchRoad": {"order_id": "order", "has_toll_road": True, "created": MOMENT},
    "OrderCoreService/PutOrder": {"order_id": "order", "yandex_uid": "uid", "document": {}},
    "OrderCoreService/GetOrderFields": {"order_id": "order", "fields": ["order.status"]},
    "OrderCoreService/SetOrderFields": {"order_id": "order", "set": {"order.status": "driving"}},
    "OrderCoreService/GetOrderInfo": {"order_id": "order"},
    "OrderCoreService/ListActiveOrders": {"yandex_uid": "uid"},
    "OrderProviderService/PutOrder": {"orderid": "order", "yandex_uid": "uid", "status": "cooking"},
    "OrderProviderService/ListActiveOrders": {"yandex_uid": "uid"},
    "EulasService/ListEulas": {"yandex_uid": "uid", "filter": EulaFilter.SIGNED},
    "EulasService/SaveEulas": {"yandex_uid": "uid", "eulas": [EulaDecision("surge_il", EulaState.ACCEPTED)]},
    "EulasService/CheckEulas": {"yandex_uid": "uid", "eula_types": ["surge"]},
    "PassengerEulasService/ListEulas": {"filter": EulaFilter.SIGNED},
    "PassengerEulasService/SaveEulas": {"eulas": [EulaDecision("surge_il", EulaState.ACCEPTED)]},
    "RoutestatsService/GetRouteStats": {"zone_name": "tel_aviv", "tariffs": ["econom"]},
    "ZoneInfoService/GetZoneInfo": {"zone_name": "tel_aviv"},
    "LaunchService/Launch": {"supported_services": ["taxi"]},
    "OrderStateService/GetOrdersState": {"yandex_uid": "uid", "supported_services": ["taxi"]},
    "OrderStateService/GetServiceOrdersState": {"service": "eats", "yandex_uid": "uid"},
    "OrderStateService/ReportOrderParts": {
        "service": "eats",
        "orderid": "order",
        "yandex_uid": "uid",
        "sequence": 1,
        "parts": {"fast_info": "1"},
    },
    "PassengerOrderStateService/PollOrdersState": {"known_orders": [KnownOrder("order", "taxi")]},
    "TaxiOnTheWayService/TaxiOnTheWay": {"order_id": "order"},
    "InappCommunicationsService/PromosOnTheWay": {"order_id": "order"},
    "FamilyService/GetFamily": {"yandex_uid": "uid"},
    "FamilyService/CreateFamily": {"admin": FamilyAdmin("400", "Ann"), "phone_id": "phone"},
    "FamilyService/AddMember": {"family_id": "family", "member": FamilyMember("401", "phone")},
    "FamilyService/RemoveMember": {"family_id": "family", "yandex_uid": "uid"},
    "RouteSharingService/ShareWithFamily": {
        "order_id": "order",
        "sharing_key": "key",
        "share_ride_with_family": True,
        "yandex_uid": "uid",
    },
    "RouteSharingService/GetSharingInfo": {"sharing_key": "key"},
    "RouteSharingService/EnqueueInsertOrder": {"order_id": "order", "sharing_key": "key"},
    "PassengerRouteSharingService/GetInfo": {"sharing_key": "key"},
    **{
        f"{service}/{method}": arguments
        for service in ("UserStateService", "ProtocolService")
        for method, arguments in _STATE_EXAMPLES.items()
    },
    "UserStateService/CompareJsons": {
        "request_id": "request",
        "kind": ComparedKind.READ,
        "old": {},
        "new": None,
        "old_status": 200,
        "new_status": 200,
    },
    "PersonalStateService/PersonalState": {"revision_id": "1", "selected_category": "econom"},
}


@dataclass(frozen=True)
class Rpc:
    """An RPC and the names that the clients have to give it."""

    descriptor: MethodDescriptor

    @property
    def name(self) -> str:
        return f"{self.descriptor.containing_service.name}/{self.descriptor.name}"

    @property
    def client(self) -> str:
        return f"{self.descriptor.containing_service.name.removesuffix('Service')}Client"

    @property
    def method(self) -> str:
        return re.sub(r"(?<!^)(?=[A-Z])", "_", self.descriptor.name).lower()

    @property
    def example(self) -> dict[str, Any]:
        return EXAMPLES[self.name]


def all_rpcs() -> list[Rpc]:
    """Every RPC of the descriptor set that ships with the contracts."""
    packaged = FileDescriptorSet.FromString(DESCRIPTORS.read_bytes())
    return [
        Rpc(Default().FindServiceByName(f"{file.package}.{service.name}").methods_by_name[method.name])
        for file in packaged.file
        if file.package.startswith("ridehail.")
        for service in file.service
        for method in service.method
    ]
