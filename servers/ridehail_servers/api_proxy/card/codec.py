"""Banners as bytes, as the cache and the domain handle them, and as JSON, for the card's field of JSON objects."""

from __future__ import annotations

from functools import lru_cache

from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import ListValue

from ridehail.inapp.v1.inapp_api_pb2 import PromosOnTheWayResponse
from ridehail_servers.api_proxy.codec import to_json_value

# Riders see the same few banners in a few languages, so most cards need no conversion at all.
_REMEMBERED = 1024


@lru_cache(_REMEMBERED)
def promo_list(encoded: bytes) -> ListValue | None:
    """Returns the banners of an encoded response of inapp, or None if the bytes are none. Do not change the list."""
    try:
        response = PromosOnTheWayResponse.FromString(encoded)
    except DecodeError:
        return None
    return ListValue(values=map(to_json_value, response.promos))
