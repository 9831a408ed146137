"""The wiring of the card of a ride under way."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from ridehail_servers.chassis.service_definition import ServiceContext

from .codec import promo_list
from .config import CardConfig, CardTimeouts
from .dependencies import Inapp, OrderCore, RouteSharing, TollRoads
from .metrics import PROMOS_LOOKED_UP
from .promo_cache import GENERATION_BYTES, PromoCache
from .promos import CardPromos
from .ride_card import RideCards
from .service import TaxiOnTheWayServicer

# ShareWithFamily is given up by its server after 2 s, and a statement under way by Postgres after 5 s.
_UNKNOWN_FOR_S = 10.0


@asynccontextmanager
async def build_card(context: ServiceContext, config: Callable[[], CardConfig]) -> AsyncIterator[TaxiOnTheWayServicer]:
    assert context.cache is not None

    def timeouts() -> CardTimeouts:
        return config().taxi_on_the_way

    channels, ticket = context.channels, context.tickets
    cache = PromoCache(
        context.cache,
        new_generation=lambda: secrets.token_bytes(GENERATION_BYTES),
        clock=time.monotonic,
        unknown_for_s=_UNKNOWN_FOR_S,
    )
    promos = CardPromos(
        cache,
        Inapp(channels["inapp-communications"], ticket=ticket, timeouts=timeouts),
        is_readable=lambda encoded: promo_list(encoded) is not None,
        ttl_s=lambda banner_set: config().promos_ttl_s(banner_set),
        report_lookup=lambda is_hit: PROMOS_LOOKED_UP.labels("hit" if is_hit else "miss").inc(),
    )
    orders = OrderCore(channels["order-core"], ticket=ticket, timeouts=timeouts)
    roads = TollRoads(channels["toll-roads"], ticket=ticket, timeouts=timeouts)
    cards = RideCards(
        orders,
        roads,
        RouteSharing(channels["route-sharing"], ticket=ticket, timeouts=timeouts),
        promos,
    )
    try:
        yield TaxiOnTheWayServicer(cards)
    finally:
        await promos.close()
        await cache.close()
        await roads.close()
        await orders.close()
