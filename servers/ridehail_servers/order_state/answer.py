"""What an app is answered about all of its rider's orders."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .allowed_changes import AllowedChanges, allowed_changes
from .orders import KnownOrder, OrderKey, OrderState, ProviderAnswer, RecordedOrder, UpdateStatus
from .polling_policy import PollingPolicy
from .service_orders import Beliefs, Heard, NextTag, ServiceOrders, service_orders


@dataclass(frozen=True, slots=True)
class Answer:
    """What an app is answered.

    Attributes:
        orders: Those that the app knew, in its order, then the others by service as the service lists them.
        allowed_changes: One entry for each service that the answer is about.
        next_tags: Service -> what to poll with, for those whose orders may be out of date.
    """

    orders: Sequence[OrderState]
    allowed_changes: Sequence[AllowedChanges]
    next_tags: Mapping[str, NextTag]


async def decide_answer(
    known: Mapping[OrderKey, KnownOrder],
    recorded: Iterable[RecordedOrder],
    heard: Mapping[str, Heard],
    *,
    policy: PollingPolicy,
    limits: Mapping[str, int],
) -> Answer:
    """Decides what an app is answered. Other calls run after each service, whose orders may be many.

    Args:
        known: What the app knows, in its order.
        recorded: What is stored of the rider's orders.
        heard: The services that the answer is about, in its order, and what each let hear. Known orders of other
            services are given back as they came.
        policy: The parts that the policy names.
        limits: Service -> how many orders a rider may have.
    """
    stored = list(recorded)
    of_services = {}
    for service, one in heard.items():
        beliefs = Beliefs(
            service=service,
            known={key: order for key, order in known.items() if key.service == service},
            recorded={order.key: order for order in stored if order.key.service == service},
            policy_parts=policy.part_names(service),
        )
        of_services[service] = service_orders(beliefs, one)
        await asyncio.sleep(0)
    return Answer(
        orders=[*_of_known(known, of_services), *(state for own in of_services.values() for state in own.added)],
        allowed_changes=[
            allowed_changes(
                service,
                one if isinstance(one, ProviderAnswer) else None,
                orders=of_services[service].count,
                limit=limits.get(service),
            )
            for service, one in heard.items()
        ],
        next_tags={service: own.next_tag for service, own in of_services.items() if own.next_tag is not None},
    )


def _of_known(known: Mapping[OrderKey, KnownOrder], of_services: Mapping[str, ServiceOrders]) -> Iterable[OrderState]:
    for key, order in known.items():
        own = of_services.get(key.service)
        if own is None:
            yield _untouched(order)
        elif key in own.known:
            yield own.known[key]


def _untouched(order: KnownOrder) -> OrderState:
    return OrderState(order.key, order.status, order.tags, (), UpdateStatus.STALE, order.details)
