"""What a request leaves out is never taken for a choice: it is refused, or its absence has a meaning that is listed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from protovalidate import Validator

from ridehail_servers.chassis.interceptors.validation import field_violation
from ridehail_servers.chassis.methods import method_table
from ridehail_servers.suite import SERVICES

VALIDATOR = Validator()

ABSENCE_MEANS = {
    # Explicit presence: absent, and present with its zero, are two things to the server.
    "ridehail.apiproxy.v1.PersonalStateRequest.revision_id": "the state is only read",
    "ridehail.apiproxy.v1.PersonalStateRequest.selected_category": "it stays",
    "ridehail.eulas.v1.CheckEulasRequest.zone_name": "agreements of all zones count",
    "ridehail.eulas.v1.EulaCheck.zone_name": "agreements of all zones count",
    "ridehail.eulas.v1.ListEulaChangesRequest.before_version": "the latest, of a read",
    "ridehail.eulas.v1.ListEulaChangesRequest.eula_id": "of all agreements, of a read",
    "ridehail.eulas.v1.ListResignRunsRequest.eula_id": "of all agreements, of a read",
    "ridehail.eulas.v1.ListEulasRequest.country": "the zone's own",
    "ridehail.eulas.v1.ListEulasRequest.zone_name": "no zone; refused by another rule where there has to be one",
    "ridehail.eulas.v1.PassengerEulasServiceListEulasRequest.country": "the zone's own",
    "ridehail.eulas.v1.PassengerEulasServiceListEulasRequest.zone_name": "no zone; refused where there has to be one",
    "ridehail.ordercore.v1.SetOrderFieldsRequest.expected_version": "of any version",
    "ridehail.orderstate.v1.ReportOrderPartsRequest.finished": "nothing is said of it",
    "ridehail.orderstate.v1.Upstream.can_make_more_orders": "the service has no opinion",
    "ridehail.orderstate.v1.Upstream.no_more_orders_reason": "no reason is known",
    "ridehail.protocol.v1.ListPersonalStatesRequest.changed_since": "whenever changed",
    "ridehail.protocol.v1.UpdatePersonalStateRequest.selected_category": "it stays",
    "ridehail.routesharing.v1.EnqueueInsertOrderRequest.yandex_uid": "not told; never replaces one",
    "ridehail.routesharing.v1.ShareWithFamilyRequest.yandex_uid": "the rider of the order",
    "ridehail.tollroads.v1.EnqueueOrderSaveRequest.offer_id": "the order has no offer",
    "ridehail.tollroads.v1.EnqueueOrderSaveRequest.yandex_uid": "nobody may switch; never replaces one",
    "ridehail.userstate.v1.CompareJsonsRequest.kind": "a read, as the text's two bare bodies are",
    "ridehail.userstate.v1.CompareJsonsRequest.new_status": "200, as of two bare bodies",
    "ridehail.userstate.v1.CompareJsonsRequest.old_status": "200, as of two bare bodies",
    "ridehail.userstate.v1.CompareJsonsRequest.request_id": "the id of the call itself",
    "ridehail.userstate.v1.ListPersonalStatesRequest.changed_since": "whenever changed",
    "ridehail.userstate.v1.UpdatePersonalStateRequest.selected_category": "it stays",
    # No presence: the zero is what is meant, and harmless.
    "ridehail.eulas.v1.Agreement.position": "behind all others when it is created, else as it was",
    "ridehail.eulas.v1.Agreement.url": "nowhere else",
    "ridehail.eulas.v1.ImportEulasRequest.dry_run": "a wish that was not made; an import may be repeated",
    "ridehail.eulas.v1.ListEulaRecordsRequest.after_eula_id": "from the first one, of a read",
    "ridehail.eulas.v1.ListEulaRecordsRequest.with_withdrawn": "only those in force, of a read",
    "ridehail.eulas.v1.ListEulasRequest.locale": "the default language, of a read",
    "ridehail.inapp.v1.PromosOnTheWayRequest.family_role": "in no family, of a read",
    "ridehail.inapp.v1.PromosOnTheWayRequest.locale": "the default language, of a read",
    "ridehail.inapp.v1.PromosOnTheWayRequest.sharing_key": "the ride has none, of a read",
    "ridehail.ordercore.v1.SetOrderFieldsRequest.call_processing": "a wish that was not made",
    "ridehail.orderprovider.v1.ActiveOrder.orderid": "the order is dropped, and counted as unreadable",
    "ridehail.orderprovider.v1.ActiveOrder.sequence": "the service does not number its changes",
    "ridehail.orderprovider.v1.ActiveOrder.status": "the order is dropped, and counted as unreadable",
    "ridehail.orderstate.v1.KnownOrder.force": "a wish that was not made; the design's own requests leave it out",
    "ridehail.orderstate.v1.KnownOrder.status": "the app has not been told yet",
    "ridehail.protocol.v1.ListPersonalStatesRequest.after_yandex_uid": "from the first one, of a read",
    "ridehail.userdata.v1.ExportUserDataRequest.page_token": "from the first page, of a read",
    "ridehail.userdata.v1.FindUserDataRequest.after_order_id": "from the first order, of a read",
    "ridehail.userdata.v1.ReadUserExportRequest.page_token": "from the first page, of a read",
    "ridehail.userstate.v1.ListPersonalStatesRequest.after_yandex_uid": "from the first one, of a read",
}
"""Every field of a request that may be left out, and what that means."""

MUST_BE_SAID = {
    "ridehail.eulas.v1.Agreement": ("rejectable",),
    "ridehail.tollroads.v1.SwitchRoadRequest": ("has_toll_road",),
    "ridehail.tollroads.v1.EnqueueOrderSaveRequest": ("can_switch_road", "user_chose_toll_road"),
    "ridehail.routesharing.v1.ShareRideWithFamily": ("value",),
    "ridehail.orderprovider.v1.PutOrderRequest": ("finished",),
    "ridehail.orderstate.v1.Upstream": ("ok",),
    "ridehail.userstate.v1.PersonalStateCopy": ("selected_category",),
}


def request_messages() -> dict[str, Descriptor]:
    """Returns the requests of all methods of the suite, and the messages in them, by name."""
    found: dict[str, Descriptor] = {}

    def add(message: Descriptor | None) -> None:
        if message is not None and message.full_name.startswith("ridehail.") and message.full_name not in found:
            found[message.full_name] = message
            for field in message.fields:
                add(field.message_type)

    for definition in SERVICES.values():
        for method in method_table(definition).values():
            add(method.request.DESCRIPTOR)  # type: ignore[arg-type]  # the same by another name
    return found


def plain_fields() -> Iterator[FieldDescriptor]:
    """Returns the fields of requests that hold one flag, number, timestamp, choice or text."""
    for message in request_messages().values():
        if not message.GetOptions().map_entry:  # entries have both of their fields always
            for field in message.fields:
                is_time = field.message_type is not None and field.message_type.full_name == "google.protobuf.Timestamp"
                if not field.is_repeated and (field.message_type is None or is_time):
                    yield field


def broken_rules(message: Message) -> dict[str, str]:
    """Returns the rules that a message breaks, by field."""
    violations = map(field_violation, VALIDATOR.collect_violations(message))
    return {violation.field: violation.reason for violation in violations}


def test_whatever_a_request_leaves_out_is_refused_or_has_a_meaning_that_is_listed() -> None:
    refused = {
        f"{name}.{field}"
        for name, message in request_messages().items()
        for field in broken_rules(GetMessageClass(message)())
    }
    all_fields = {field.full_name for field in plain_fields()}
    assert len(refused) > 40
    assert all_fields - refused == set(ABSENCE_MEANS)


def test_no_flag_without_presence_is_a_choice() -> None:
    flags = {field.full_name for field in plain_fields() if field.type == field.TYPE_BOOL and not field.has_presence}
    assert flags == {
        "ridehail.eulas.v1.ImportEulasRequest.dry_run",
        "ridehail.eulas.v1.ListEulaRecordsRequest.with_withdrawn",
        "ridehail.ordercore.v1.SetOrderFieldsRequest.call_processing",
        "ridehail.orderstate.v1.KnownOrder.force",
    }


@pytest.mark.parametrize("name", MUST_BE_SAID)
def test_a_choice_has_to_be_said_and_its_zero_can_be(name: str) -> None:
    kind = GetMessageClass(request_messages()[name])
    for field in MUST_BE_SAID[name]:
        assert broken_rules(kind()).get(field) == "required"
        message = kind()
        setattr(message, field, getattr(message, field))  # its zero, but said
        assert field not in broken_rules(message)
