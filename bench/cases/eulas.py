"""Reads of users' decisions on agreements."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from bench.case import RETRIEVE, Case, against_fastapi, against_null, one_order
from bench.comparison import Contender
from bench.harness import Harness
from ridehail.eulas.v1 import eulas_api_pb2 as api

_CHECK = "/ridehail.eulas.v1.EulasService/CheckEulas"
_LIST = "/ridehail.eulas.v1.EulasService/ListEulas"
_TYPES = ("surge", "child_seat")
_ZONE = "tel_aviv"


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
