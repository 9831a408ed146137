"""Service tickets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ridehail_servers.chassis import tokens
from ridehail_servers.chassis.errors import Code, DomainError
from ridehail_servers.chassis.keys import KeyRing, KeysMissing, create_key_pair
from ridehail_servers.chassis.passenger import Identity
from ridehail_servers.chassis.tickets import (
    Ticket,
    TicketExpired,
    TicketInvalid,
    TicketIssuer,
    TicketMissing,
    TicketVerifier,
    TicketWrongDestination,
)
from tests.support.log_capture import captured_logs

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
RIDER = Identity("uid", "user", "owner", "phone")


class SettableClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class CountingRing(KeyRing):
    """Counts how often a signature is verified."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, monotonic=lambda: self.seconds)
        self.verified = 0

    seconds = 0.0

    def public_key(self, kid: str, owner: str = "") -> Ed25519PublicKey | None:
        self.verified += 1
        return super().public_key(kid, owner)


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_key_pair(tmp_path / "processing", "key-1")
    return tmp_path


@pytest.fixture
def ring(folder: Path) -> CountingRing:
    return CountingRing(folder)


@pytest.fixture
def issuer(ring: KeyRing, clock: SettableClock) -> TicketIssuer:
    return TicketIssuer(ring, "processing", clock=clock, ttl=10 * MINUTE)


@pytest.fixture
def verifier(ring: KeyRing, clock: SettableClock) -> TicketVerifier:
    return TicketVerifier(ring, clock=clock)


def shape(error: DomainError) -> tuple[Code, str, dict[str, str]]:
    return error.code, error.reason, error.metadata


# --- verification


def test_a_ticket_states_source_and_destination(
    issuer: TicketIssuer, verifier: TicketVerifier, clock: SettableClock
) -> None:
    ends = int((clock.now + 10 * MINUTE).timestamp())
    assert verifier.verify(issuer("toll-roads"), destination="toll-roads") == Ticket(
        "processing", "toll-roads", None, ends
    )


def test_a_bound_ticket_tells_its_passenger(issuer: TicketIssuer, verifier: TicketVerifier) -> None:
    assert verifier.verify(issuer("toll-roads", RIDER), destination="toll-roads").passenger == RIDER


@pytest.mark.parametrize("behind_s", [31, 90, 86_400])
def test_a_ticket_from_the_future_is_refused_with_a_word_on_the_clocks(
    ring: KeyRing, issuer: TicketIssuer, clock: SettableClock, behind_s: int
) -> None:
    token = issuer("toll-roads")
    behind = clock.now - timedelta(seconds=behind_s)
    with captured_logs() as log, pytest.raises(TicketInvalid) as caught:
        TicketVerifier(ring, clock=lambda: behind).verify(token, destination="toll-roads")
    assert shape(caught.value) == (Code.UNAUTHENTICATED, "TICKET_INVALID", {})
    assert f"issued {behind_s} s in the future by our clock; compare the clocks" in str(caught.value)
    assert [line["ahead_s"] for line in log.lines] == [behind_s]


def test_how_long_ago_a_ticket_expired_is_reported(ring: KeyRing, issuer: TicketIssuer, clock: SettableClock) -> None:
    token = issuer("toll-roads")
    ahead = clock.now + 11 * MINUTE
    with pytest.raises(TicketExpired, match=r"expired 60 s ago by our clock"):
        TicketVerifier(ring, clock=lambda: ahead).verify(token, destination="toll-roads")


@pytest.mark.parametrize("token", [None, ""])
def test_a_missing_ticket_differs_from_a_bad_one(verifier: TicketVerifier, token: str | None) -> None:
    with pytest.raises(TicketMissing) as caught:
        verifier.verify(token, destination="toll-roads")
    assert shape(caught.value) == (Code.UNAUTHENTICATED, "TICKET_MISSING", {})


def test_a_ticket_for_another_service_is_refused_each_time(issuer: TicketIssuer, verifier: TicketVerifier) -> None:
    token = issuer("order-core")
    for _ in range(2):
        with pytest.raises(TicketWrongDestination) as caught:
            verifier.verify(token, destination="toll-roads")
    assert shape(caught.value) == (Code.UNAUTHENTICATED, "TICKET_WRONG_DESTINATION", {"service": "toll-roads"})
    assert verifier.verify(token, destination="order-core").destination == "order-core"


def test_a_ticket_for_more_than_an_hour_is_refused_although_it_is_signed(
    ring: KeyRing, verifier: TicketVerifier, clock: SettableClock
) -> None:
    claims = {"src": "processing", "dst": "toll-roads"}
    an_hour = tokens.sign(ring, claims, now=clock.now, ttl=HOUR, owner="processing")
    assert verifier.verify(an_hour, destination="toll-roads")
    longer = tokens.sign(ring, claims, now=clock.now, ttl=HOUR + SECOND, owner="processing")
    with pytest.raises(TicketInvalid) as caught:
        verifier.verify(longer, destination="toll-roads")
    assert shape(caught.value) == (Code.UNAUTHENTICATED, "TICKET_INVALID", {})


GOOD = {"src": "processing", "dst": "toll-roads"}
BAD_CLAIMS: dict[str, dict[str, object]] = {
    "no destination": {"dst": None},
    "an empty destination": {"dst": ""},
    "no source": {"src": None},
    "an empty source": {"src": ""},
    "a source that is a number": {"src": 1},
    "half a character as the source": {"src": "\ud800"},
    "a source with a path": {"src": "../tickets/processing"},
    "a source in other letters": {"src": "Processing"},
    "a source that no one knows": {"src": "stranger"},
    "a passenger that is a number": {"uid": 1},
    "an empty passenger": {"uid": ""},
    "half a character as the passenger": {"uid": "\ud800"},
    "a line break in the passenger": {"uid": "1\r\nx: y"},
    "a phone without a passenger": {"phone_id": "p"},
    "a phone that is a list": {"uid": "1", "phone_id": ["p"]},
    "an unknown role": {"uid": "1", "family_role": "boss"},
    "an issue before time began": {"iat": -1},
    "an end that no clock reaches": {"iat": 10**400, "exp": 10**400},
    "an end before all clocks": {"exp": -(10**400)},
    "an end that is true": {"exp": True},
    "an end that is broken": {"exp": 1e999},
}


@pytest.mark.parametrize("claims", BAD_CLAIMS.values(), ids=BAD_CLAIMS)
def test_a_ticket_that_lacks_a_claim_or_misshapes_one_is_refused(
    ring: KeyRing, verifier: TicketVerifier, clock: SettableClock, claims: dict[str, object]
) -> None:
    assert verifier.verify(signed(ring, clock, GOOD), destination="toll-roads")
    with pytest.raises(TicketInvalid):
        verifier.verify(signed(ring, clock, {**GOOD, **claims}), destination="toll-roads")


def signed(ring: KeyRing, clock: SettableClock, claims: Mapping[str, object]) -> str:
    """Signs claims of any kind with the key of processing; those that are None are left out."""
    kid, key = ring.signing_key("processing")
    now = int(clock.now.timestamp())
    stated = {"iat": now, "exp": now + 60, **{name: value for name, value in claims.items() if value is not None}}
    return jwt.encode(stated, key, algorithm="EdDSA", headers={"kid": kid})


def test_keys_that_belong_to_no_source_verify_nothing(tmp_path: Path, clock: SettableClock) -> None:
    """Such was the folder of older releases, in which any key spoke for everybody."""
    create_key_pair(tmp_path, "key-1")
    with pytest.raises(KeysMissing, match="<source>"):
        TicketVerifier(KeyRing(tmp_path), clock=clock)
    create_key_pair(tmp_path / "admin", "key-2")
    verifier = TicketVerifier(KeyRing(tmp_path), clock=clock)
    for claims in (GOOD, {**GOOD, "src": "admin"}):
        with pytest.raises(TicketInvalid):
            verifier.verify(tokens.sign(KeyRing(tmp_path), claims, now=clock.now, ttl=MINUTE), destination="toll-roads")


@given(data=st.data())
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_change_of_a_ticket_makes_another_one(
    issuer: TicketIssuer, verifier: TicketVerifier, data: st.DataObject
) -> None:
    token = issuer("toll-roads", RIDER)
    original = verifier.verify(token, destination="toll-roads")
    position = data.draw(st.integers(0, len(token) - 1))
    changed = token[:position] + data.draw(st.characters(codec="utf-8")) + token[position + 1 :]
    try:
        assert verifier.verify(changed, destination="toll-roads") == original
    except TicketInvalid:
        assert changed != token


# --- remembering


def test_a_signature_is_verified_once(issuer: TicketIssuer, ring: CountingRing, verifier: TicketVerifier) -> None:
    token = issuer("toll-roads")
    for _ in range(5):
        verifier.verify(token, destination="toll-roads")
    assert ring.verified == 1


def test_a_remembered_ticket_expires_all_the_same(
    issuer: TicketIssuer, verifier: TicketVerifier, clock: SettableClock
) -> None:
    token = issuer("toll-roads")
    verifier.verify(token, destination="toll-roads")

    clock.now += 10 * MINUTE + tokens.LEEWAY - SECOND
    assert verifier.verify(token, destination="toll-roads")
    clock.now += SECOND
    with pytest.raises(TicketExpired) as caught:
        verifier.verify(token, destination="toll-roads")

    assert shape(caught.value) == (Code.UNAUTHENTICATED, "TICKET_EXPIRED", {})


def test_a_remembered_ticket_of_a_removed_key_is_refused(
    folder: Path, issuer: TicketIssuer, ring: CountingRing, verifier: TicketVerifier
) -> None:
    create_key_pair(folder / "processing", "key-0")
    token = issuer("toll-roads")
    verifier.verify(token, destination="toll-roads")

    (folder / "processing" / "key-1.public.pem").unlink()
    ring.seconds += 1

    with pytest.raises(TicketInvalid):
        verifier.verify(token, destination="toll-roads")


# --- issuing


@pytest.mark.parametrize("ttl", [timedelta(0), -SECOND, HOUR + SECOND])
def test_no_issuer_makes_tickets_that_would_be_refused(ring: KeyRing, ttl: timedelta) -> None:
    with pytest.raises(ValueError, match="3600"):
        TicketIssuer(ring, "processing", ttl=ttl)


def test_an_issued_ticket_is_reused_for_half_of_its_life(issuer: TicketIssuer, clock: SettableClock) -> None:
    first = issuer("toll-roads")
    clock.now += 5 * MINUTE - SECOND
    assert issuer("toll-roads") == first
    clock.now += SECOND
    assert issuer("toll-roads") != first


def test_every_destination_and_passenger_has_its_own_ticket(issuer: TicketIssuer) -> None:
    issued = [issuer("a"), issuer("b"), issuer("a", RIDER), issuer("a", Identity("uid"))]
    assert len(set(issued)) == 4
    assert [issuer("a"), issuer("b"), issuer("a", RIDER), issuer("a", Identity("uid"))] == issued
