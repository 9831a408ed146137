"""What a caller is told of a defect, and what the log is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import grpc
import pytest

from ridehail.common.v1 import error_reason_pb2
from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from ridehail_clients import InternalError
from ridehail_servers.chassis.errors import DomainError
from tests.support.calls import failure_of
from tests.support.log_capture import LogCapture
from tests.support.suite_in_process import SuiteInProcess

SAVE_OFFER = "/ridehail.tollroads.v1.TollRoadsService/SaveOffer"
CANARY = "canary-5f1e"
OFFERS = "ALTER TABLE toll_roads.offers"
# Each makes the insertion of the offer fail in another way, until it is rolled back; the first three put its id into
# Postgres' message.
DEFECTS = {
    "a broken constraint": (
        f"{OFFERS} ADD CONSTRAINT short CHECK (length(offer_id) < 3)",
        f"{OFFERS} DROP CONSTRAINT short",
    ),
    "a value of another type": (
        f"{OFFERS} ALTER COLUMN offer_id TYPE int USING 0",
        f"{OFFERS} ALTER COLUMN offer_id TYPE text",
    ),
    "a trigger that speaks of the row": (
        """
        CREATE FUNCTION toll_roads.shout() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION USING ERRCODE = 'P0001', MESSAGE = 'no', DETAIL = NEW.offer_id; END $$;
        CREATE TRIGGER shout BEFORE INSERT ON toll_roads.offers FOR EACH ROW EXECUTE FUNCTION toll_roads.shout()
        """,
        "DROP FUNCTION toll_roads.shout CASCADE",
    ),
    "a missing table": (f"{OFFERS} RENAME TO gone", "ALTER TABLE toll_roads.gone RENAME TO offers"),
    "a missing column": (f"{OFFERS} RENAME created_at TO gone", f"{OFFERS} RENAME gone TO created_at"),
}


@pytest.fixture(scope="module")
def module_services() -> Sequence[str]:
    return ("toll-roads",)


@pytest.mark.parametrize("defect", DEFECTS)
async def test_a_defect_is_reported_by_the_request_id_and_nothing_else(
    running_suite: SuiteInProcess, log: LogCapture, defect: str
) -> None:
    async with running_suite.altered(*DEFECTS[defect]), running_suite.channel() as channel:
        error = await failure_of(
            channel,
            SAVE_OFFER,
            api.SaveOfferRequest(offer_id=CANARY),
            metadata=running_suite.metadata("routestats", "toll-roads"),
        )

    assert isinstance(error, InternalError)
    assert error.code is grpc.StatusCode.INTERNAL
    assert error.request_id
    assert error.message == f"internal error, request id {error.request_id}"
    assert error.metadata == {"request_id": error.request_id}
    assert (error.retry_after, error.violations) == (None, ())

    line, *others = log.events("unexpected error")
    assert others == []
    assert line["request_id"] == error.request_id
    assert line["method"] == SAVE_OFFER.removeprefix("/")
    assert line["level"] == "error"
    assert "insert_offer" in line["exception"]
    assert "psycopg.errors." in line["exception"]
    assert CANARY not in log.text


def domain_errors(base: type[DomainError] = DomainError) -> Iterator[type[DomainError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from domain_errors(kind)


def test_every_reason_that_the_servers_spell_is_in_the_catalogue() -> None:
    catalogue = {name.removeprefix("ERROR_REASON_") for name in error_reason_pb2.ErrorReason.DESCRIPTOR.values_by_name}
    spelt = {
        constant
        for kind in domain_errors()
        for constant in kind.__init__.__code__.co_consts
        if isinstance(constant, str) and re.fullmatch(r"[A-Z]+(_[A-Z]+)+", constant)
    }
    assert {"TICKET_MISSING", "ORDER_NOT_FOUND", "DATABASE_UNAVAILABLE"} <= spelt
    assert spelt <= catalogue
