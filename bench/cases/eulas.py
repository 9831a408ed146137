"""Reads of users' decisions on agreements."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from bench.case import RETRIEVE, Case, against_fastapi, against_null, one_order
from bench.comparison import Contender, Goal
from bench.harness import Harness
from ridehail.eulas.v1 import eulas_api_pb2 as api
from ridehail.eulas.v1.eulas_pb2 import EulaCheck

_CHECK = "/ridehail.eulas.v1.EulasService/CheckEulas"
_BATCH_CHECK = "/ridehail.eulas.v1.EulasService/BatchCheckEulas"
_LIST = "/ridehail.eulas.v1.EulasService/ListEulas"
_TYPES = ("surge", "child_seat")
_ZONE = "tel_aviv"
_BATCH = 100


def _agreements(
    path: str,
    request: Callable[[str], api.CheckEulasRequest | api.ListEulasRequest],
    http_path: str,
    **fields: object,
) -> Callable[[Harness], AbstractContextManager[Sequence[Contender]]]:
    """Returns what starts the servers of a case; `fields` are sent to FastAPI beside the user."""

    @contextmanager
    def contenders(harness: Harness) -> Iterator[Sequence[Contender]]:
        url = harness.tables.agreements(harness.orders)

        def message(some_user: Callable[[], str]) -> bytes:
            return request(some_user()).SerializeToString()

        def json_message(some_user: Callable[[], str]) -> bytes:
            return json.dumps({"yandex_uid": some_user(), **fields}).encode()

        with (
            harness.servers.ridehail("eulas", database_url=url) as ours,
            harness.servers.fastapi("fastapi_eulas", database_url=url) as fastapi,
            harness.servers.null("bare") as bare,
        ):
            yield (
                harness.contender("ridehail", ours, path, message, service="eulas"),
                harness.contender("fastapi", fastapi, http_path, json_message),
                harness.contender("null handler", bare, RETRIEVE, one_order),
            )

    return contenders


@contextmanager
def _batches(harness: Harness) -> Iterator[Sequence[Contender]]:
    def single(some_user: Callable[[], str]) -> bytes:
        request = api.CheckEulasRequest(yandex_uid=some_user(), eula_types=_TYPES, zone_name=_ZONE)
        return request.SerializeToString()

    def batch(some_user: Callable[[], str]) -> bytes:
        checks = [EulaCheck(yandex_uid=some_user(), eula_types=_TYPES, zone_name=_ZONE) for _ in range(_BATCH)]
        return api.BatchCheckEulasRequest(checks=checks).SerializeToString()

    with harness.servers.ridehail("eulas", database_url=harness.tables.agreements(harness.orders)) as ours:
        yield (
            harness.contender("single calls", ours, _CHECK, single, service="eulas"),
            harness.contender(
                "batches", ours, _BATCH_CHECK, batch, service="eulas", orders_per_request=_BATCH, messages=2_000
            ),
        )


CASES = {
    "check-eulas": Case(
        f"CheckEulas of {len(_TYPES)} types, one random user a call",
        _agreements(
            _CHECK,
            lambda uid: api.CheckEulasRequest(yandex_uid=uid, eula_types=_TYPES),
            "/v1/check",
            eula_types=_TYPES,
        ),
        (against_fastapi(1.8), against_null(0.8)),
    ),
    "batch-check-eulas": Case(
        f"BatchCheckEulas of {_BATCH} users against single calls, {len(_TYPES)} types in a zone each",
        _batches,
        (
            Goal(
                "users/s, batches / single calls",
                lambda by: by["batches"].requests_per_s * _BATCH / by["single calls"].requests_per_s,
                5,
                at_least=True,
            ),
        ),
    ),
    "list-eulas": Case(
        "ListEulas(unknown), one random user a call",
        _agreements(
            _LIST,
            lambda uid: api.ListEulasRequest(yandex_uid=uid, filter="unknown", zone_name=_ZONE),
            "/v1/list",
            zone_name=_ZONE,
        ),
        (against_fastapi(1.6), against_null(1.1)),
    ),
}
