"""Whose requests pass, and where to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ridehail_servers.chassis.errors import Code, DomainError
from ridehail_servers.chassis.keys import KeyRing, create_key_pair
from ridehail_servers.chassis.passenger import Identity
from ridehail_servers.chassis.tickets import TicketIssuer, TicketVerifier
from ridehail_servers.passenger_authorizer.authorizer import Allowed, Authorizer
from ridehail_servers.passenger_authorizer.session_tokens import SessionVerifier, issue_session_token

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PATH = "/ridehail.tollroads.v1.PassengerTollRoadsService/SwitchRoad"


def _now() -> datetime:
    return NOW


@pytest.fixture
def keys(tmp_path: Path) -> KeyRing:
    create_key_pair(tmp_path, "1")
    create_key_pair(tmp_path / "gateway", "1")
    return KeyRing(tmp_path)


@pytest.fixture
def authorizer(keys: KeyRing) -> Authorizer:
    return Authorizer(
        SessionVerifier(keys, clock=_now),
        ticket=TicketIssuer(keys, "gateway", clock=_now),
        destinations={"ridehail.tollroads.v1.PassengerTollRoadsService": "toll-roads"},
        clock=_now,
    )


@pytest.fixture
def token(keys: KeyRing) -> str:
    return issue_session_token(keys, yandex_uid="4001", ttl=timedelta(minutes=1), now=NOW)


def test_the_ticket_is_the_gateways_for_the_called_service_and_for_this_passenger_only(
    authorizer: Authorizer, keys: KeyRing, token: str
) -> None:
    decision = authorizer.decide(authorization=f"Bearer {token}", path=PATH)
    assert isinstance(decision, Allowed)
    assert decision.session.passenger.yandex_uid == "4001"
    ticket = TicketVerifier(keys, clock=_now).verify(decision.ticket, destination="toll-roads")
    assert (ticket.source, ticket.passenger) == ("gateway", Identity("4001"))


@pytest.mark.parametrize(
    ("seconds", "expected"), [(3600, 60), (40, 60), (20, 50), (1, 31)], ids=["long", "a minute", "shorter", "ends"]
)
def test_a_session_is_remembered_for_a_minute_and_never_beyond_its_end(
    authorizer: Authorizer, keys: KeyRing, seconds: int, expected: int
) -> None:
    token = issue_session_token(keys, yandex_uid="4001", ttl=timedelta(seconds=seconds), now=NOW)
    decision = authorizer.decide(authorization=f"Bearer {token}", path=PATH)
    assert isinstance(decision, Allowed)
    assert decision.remember_s == expected


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "  bEaReR  "])
def test_the_scheme_may_be_written_in_any_case(authorizer: Authorizer, token: str, scheme: str) -> None:
    assert isinstance(authorizer.decide(authorization=f"{scheme} {token}", path=PATH), Allowed)


@pytest.mark.parametrize("header", [None, "", " ", "Bearer", "Bearer ", "Basic dTpw", "Bearer,", "{token}"])
def test_without_a_bearer_token_the_session_is_missing(authorizer: Authorizer, token: str, header: str | None) -> None:
    decision = authorizer.decide(authorization=header and header.replace("{token}", token), path=PATH)
    assert isinstance(decision, DomainError)
    assert (decision.code, decision.reason) == (Code.UNAUTHENTICATED, "SESSION_MISSING")


@pytest.mark.parametrize("header", ["Bearer {0} {0}", "Bearer {0},Bearer {0}", "Bearer {0},{0}", "Bearer {0}, {0}"])
def test_of_two_tokens_none_is_believed(authorizer: Authorizer, token: str, header: str) -> None:
    decision = authorizer.decide(authorization=header.format(token), path=PATH)
    assert isinstance(decision, DomainError)
    assert (decision.code, decision.reason) == (Code.UNAUTHENTICATED, "SESSION_INVALID")


@pytest.mark.parametrize(
    "path",
    [
        "/ridehail.tollroads.v1.TollRoadsService/SaveOffer",
        "/envoy.service.auth.v3.Authorization/Check",
        "/ridehail.tollroads.v1.PassengerTollRoadsService",
        "/ridehail.tollroads.v1.PassengerTollRoadsService/",
        "ridehail.tollroads.v1.PassengerTollRoadsService/SwitchRoad",
        "/x/ridehail.tollroads.v1.PassengerTollRoadsService/SwitchRoad",
        "//ridehail.tollroads.v1.PassengerTollRoadsService/SwitchRoad",
        PATH + "/",
        "/4.0/toll-roads/v1/order",
        "/",
        "",
    ],
)
def test_a_good_session_reaches_nothing_but_services_for_passengers(
    authorizer: Authorizer, token: str, path: str
) -> None:
    decision = authorizer.decide(authorization=f"Bearer {token}", path=path)
    assert isinstance(decision, DomainError)
    assert (decision.code, decision.reason) == (Code.PERMISSION_DENIED, "CALLER_NOT_ALLOWED")
