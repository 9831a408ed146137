"""Banners as bytes, for the cache, and as JSON, for the field of the card that is a list of JSON objects."""

from __future__ import annotations

from functools import lru_cache

from google.protobuf import json_format, struct_pb2
from google.protobuf.message import DecodeError

from ridehail.inapp.v1 import inapp_api_pb2, inapp_pb2
from ridehail_clients import Promo, PromosOnTheWay

# Riders see the same few banners in a few languages, so most cards need no conversion at all.
_REMEMBERED = 1024


class PromoEncoding:
    """Banners as bytes: as inapp_communications answers them."""

    def __init__(self) -> None:
        self.decode = lru_cache(_REMEMBERED)(_decoded)

    def encode(self, promos: PromosOnTheWay) -> bytes:
        """Returns the banners as bytes.

        Args:
            promos: The banners.
        """
        message = inapp_api_pb2.PromosOnTheWayResponse(
            promos=[_message(one) for one in promos.promos], banner_set=promos.banner_set
        )
        return message.SerializeToString(deterministic=True)


@lru_cache(_REMEMBERED)
def json_list(promos: tuple[Promo, ...]) -> struct_pb2.ListValue:
    """Returns banners as the gateway prints them: names as in the contract, default values included. Not to be changed.

    Args:
        promos: The banners.
    """
    return struct_pb2.ListValue(values=[_json_form(one) for one in promos])


def _json_form(promo: Promo) -> struct_pb2.Value:
    form = json_format.MessageToDict(
        _message(promo), preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return json_format.ParseDict(form, struct_pb2.Value())


def _decoded(encoded: bytes) -> PromosOnTheWay | None:
    try:
        message = inapp_api_pb2.PromosOnTheWayResponse.FromString(encoded)
    except DecodeError:
        return None
    return PromosOnTheWay(promos=tuple(map(_promo, message.promos)), banner_set=message.banner_set)


def _promo(message: inapp_pb2.Promo) -> Promo:
    return Promo(
        id=message.id,
        title=message.title,
        text=message.text,
        image_url=message.image_url,
        is_selected=message.is_selected if message.HasField("is_selected") else None,
    )


def _message(promo: Promo) -> inapp_pb2.Promo:
    return inapp_pb2.Promo(
        id=promo.id, title=promo.title, text=promo.text, image_url=promo.image_url, is_selected=promo.is_selected
    )
