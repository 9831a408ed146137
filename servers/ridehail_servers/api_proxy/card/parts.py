"""How the card of a ride under way is put together."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from ridehail_servers.api_proxy.config import ApiProxyConfig
from ridehail_servers.chassis.service_definition import ServiceContext

from .config import CardPatience
from .neighbours import Inapp, OrderCore, RouteSharing, TollRoads, count_lookup
from .promo_cache import GENERATION_BYTES, PromoCache
from .promo_form import PromoEncoding
from .promos import CardPromos
from .taxi_on_the_way import Neighbours, TaxiOnTheWay

# ShareWithFamily is given up by its server after 2 s, and a statement under way by Postgres after 5 s.
_UNKNOWN_FOR_S = 10.0


@asynccontextmanager
async def built_taxi_on_the_way(
    context: ServiceContext, config: Callable[[], ApiProxyConfig]
) -> AsyncIterator[TaxiOnTheWay]:
    """Makes it for one process, for the length of the block.

    Args:
        context: Of the service.
        config: Returns the present configuration.
    """
    assert context.cache is not None

    def patience() -> CardPatience:
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
        Inapp(channels["inapp-communications"], ticket=ticket, patience=patience),
        PromoEncoding(),
        ttl_s=lambda banner_set: config().promos_ttl_s(banner_set),
        looked_up=count_lookup,
    )
    roads = TollRoads(channels["toll-roads"], ticket=ticket, patience=patience)
    neighbours = Neighbours(
        orders=OrderCore(channels["order-core"], ticket=ticket, patience=patience),
        roads=roads,
        sharing=RouteSharing(channels["route-sharing"], ticket=ticket, patience=patience),
        promos=promos,
    )
    try:
        yield TaxiOnTheWay(neighbours)
    finally:
        await promos.close()
        await cache.close()
        await roads.close()
