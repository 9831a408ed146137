"""Agreements as JSON, for the field of zoneinfo that is a list of JSON objects."""

from __future__ import annotations

from google.protobuf import json_format, struct_pb2

from ridehail.eulas.v1 import eulas_pb2
from ridehail_clients import Eula
from ridehail_servers.chassis.timestamps import to_timestamp


def json_form(eula: Eula) -> struct_pb2.Value:
    """Returns an agreement as the gateway prints one: names as in the contract, default values included.

    Args:
        eula: The agreement.
    """
    message = eulas_pb2.Eula(
        eula_id=eula.eula_id,
        type=eula.type,
        status=eula.status,
        title=eula.title,
        text=eula.text,
        url=eula.url,
        rejectable=eula.rejectable,
        valid_till=to_timestamp(eula.valid_till),
        updated_at=to_timestamp(eula.updated_at),
    )
    form = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return json_format.ParseDict(form, struct_pb2.Value())
