"""Which session tokens are believed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ridehail_servers.chassis import tokens
from ridehail_servers.chassis.errors import DomainError
from ridehail_servers.chassis.keys import KeyRing, create_key_pair
from ridehail_servers.chassis.passenger import Identity
from ridehail_servers.passenger_authorizer.session_tokens import (
    AUDIENCE,
    ISSUER,
    Session,
    SessionExpired,
    SessionInvalid,
    SessionPolicy,
    SessionVerifier,
    issue_session_token,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class MovingClock:
    """Tells the time that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sessions")
    create_key_pair(path, "old")
    create_key_pair(path, "young")
    return path


@pytest.fixture(scope="session")
def keys(folder: Path) -> KeyRing:
    return KeyRing(folder)


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture
def verifier(keys: KeyRing, clock: MovingClock) -> SessionVerifier:
    return SessionVerifier(keys, clock=clock)


def signed(keys: KeyRing, **claims: Any) -> str:
    """Returns a well signed token with any claims."""
    about = {"iss": ISSUER, "aud": AUDIENCE, "sid": "sid-1"}
    stated = {name: value for name, value in {**about, **claims}.items() if value is not None}
    return tokens.sign(keys, stated, now=NOW, ttl=HOUR)


def test_a_session_states_what_its_token_was_issued_with(keys: KeyRing, verifier: SessionVerifier) -> None:
    token = issue_session_token(
        keys, yandex_uid="4001", user_id="u 1", family_role="user", phone_id="p", ttl=HOUR, now=NOW
    )
    expires_at = int((NOW + HOUR).timestamp())
    assert verifier.verify(token) == Session(
        Identity("4001", "u 1", "user", "p"), expires_at, 3600, ISSUER, AUDIENCE, sid=verifier.verify(token).sid
    )


def test_what_a_token_omits_the_session_lacks(keys: KeyRing, verifier: SessionVerifier) -> None:
    session = verifier.verify(issue_session_token(keys, yandex_uid="4001", ttl=HOUR, now=NOW))
    assert session.passenger == Identity("4001")


def test_a_session_may_be_longer_than_any_ticket_up_to_its_own_bound(keys: KeyRing, clock: MovingClock) -> None:
    policy = SessionPolicy(longest_life_s=7200)
    verifier = SessionVerifier(keys, policy=lambda: policy, clock=clock)
    assert verifier.verify(issue_session_token(keys, yandex_uid="4001", ttl=2 * HOUR, now=NOW)).life_s == 7200
    longer = issue_session_token(keys, yandex_uid="4001", ttl=2 * HOUR + timedelta(seconds=1), now=NOW)
    with pytest.raises(SessionInvalid):
        verifier.verify(longer)


def test_by_default_a_session_lasts_for_30_days_at_most(keys: KeyRing, verifier: SessionVerifier) -> None:
    verifier.verify(issue_session_token(keys, yandex_uid="4001", ttl=timedelta(days=30), now=NOW))
    with pytest.raises(SessionInvalid):
        verifier.verify(issue_session_token(keys, yandex_uid="4001", ttl=timedelta(days=365), now=NOW))


@pytest.mark.parametrize("name", ["iss", "aud", "sid"])
@pytest.mark.parametrize("value", [None, "", "stranger", "RIDEHAIL", "\ud800"])
def test_a_session_of_another_issuer_or_for_another_audience_is_refused(
    keys: KeyRing, verifier: SessionVerifier, name: str, value: object
) -> None:
    token = signed(keys, sub="4001", **{name: value})
    if name == "sid" and isinstance(value, str) and value:
        assert verifier.verify(token).sid == value
        return
    with pytest.raises(SessionInvalid):
        verifier.verify(token)


def test_one_session_is_ended_and_the_passengers_others_go_on(keys: KeyRing, clock: MovingClock) -> None:
    policy = [SessionPolicy()]
    verifier = SessionVerifier(keys, policy=lambda: policy[0], clock=clock)
    lost, kept = (issue_session_token(keys, yandex_uid="4001", ttl=HOUR, now=NOW) for _ in range(2))
    ended = verifier.verify(lost).sid
    policy[0] = SessionPolicy(ended=frozenset({ended}))
    with pytest.raises(SessionInvalid):
        verifier.verify(lost)
    assert verifier.verify(kept).sid != ended


def test_rules_are_others_when_policy_or_keys_are_and_the_same_in_every_process(
    tmp_path: Path, clock: MovingClock
) -> None:
    create_key_pair(tmp_path, "1")
    now, policy = [0.0], [SessionPolicy(ended=frozenset({"a", "b"}))]

    def verifier() -> SessionVerifier:
        keys = KeyRing(tmp_path, monotonic=lambda: now[0])
        return SessionVerifier(keys, policy=lambda: policy[0], clock=clock)

    running = verifier()
    first = running.rules()
    assert verifier().rules() == running.rules() == first
    told = {first}
    for changed in (
        SessionPolicy(ended=frozenset({"b", "c"})),
        SessionPolicy(ended=frozenset({"b,c"})),
        SessionPolicy(longest_life_s=1),
        SessionPolicy(audience="others"),
    ):
        policy[0] = changed
        assert running.rules() not in told
        told.add(running.rules())
    changes: list[Callable[[], None]] = [lambda: create_key_pair(tmp_path, "2"), (tmp_path / "1.public.pem").unlink]
    for change in changes:
        change()
        now[0] += 2
        assert running.rules() not in told
        assert verifier().rules() == running.rules()
        told.add(running.rules())


def test_a_rotation_of_keys_ends_no_session_before_its_time(tmp_path: Path, clock: MovingClock) -> None:
    """The drill of docs/operations.md, step by step."""
    seconds = [0.0]

    def monotonic() -> float:
        return seconds[0]

    create_key_pair(tmp_path, "2026-01")
    ring = KeyRing(tmp_path, monotonic=monotonic)
    verifier = SessionVerifier(ring, clock=clock)
    before = issue_session_token(ring, yandex_uid="4001", ttl=HOUR, now=NOW)

    create_key_pair(tmp_path, "2026-02")  # a new pair under a later id
    seconds[0] += 5
    (tmp_path / "2026-01.private.pem").unlink()  # the old one signs no more
    seconds[0] += 5
    after = issue_session_token(ring, yandex_uid="4001", ttl=HOUR, now=NOW)
    assert verifier.verify(before)
    assert verifier.verify(after)

    (tmp_path / "2026-01.public.pem").unlink()  # once the longest life is over
    seconds[0] += 5
    with pytest.raises(SessionInvalid):
        verifier.verify(before)
    assert verifier.verify(after)


@pytest.mark.parametrize("ttl", [timedelta(0), timedelta(seconds=-1), timedelta(milliseconds=999)])
def test_a_token_is_not_issued_for_no_time(keys: KeyRing, ttl: timedelta) -> None:
    with pytest.raises(ValueError, match="a second or more"):
        issue_session_token(keys, yandex_uid="4001", ttl=ttl, now=NOW)


@pytest.mark.parametrize("seen_before", [False, True])
def test_a_session_ends_with_its_token_and_the_leeway(
    keys: KeyRing, clock: MovingClock, verifier: SessionVerifier, seen_before: bool
) -> None:
    token = issue_session_token(keys, yandex_uid="4001", ttl=HOUR, now=NOW)
    if seen_before:
        verifier.verify(token)
    clock.now = NOW + HOUR + timedelta(seconds=29)
    verifier.verify(token)
    clock.now = NOW + HOUR + timedelta(seconds=30)
    with pytest.raises(SessionExpired):
        verifier.verify(token)


def test_every_key_of_the_ring_is_believed(keys: KeyRing, folder: Path, verifier: SessionVerifier) -> None:
    private = KeyRing(folder).signing_key()[1]
    assert verifier.verify(signed(keys, sub="4001")).passenger.yandex_uid == "4001"
    old = (folder / "old.private.pem").read_bytes()
    token = jwt.encode(
        {
            "sub": "4002",
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sid": "s",
            "iat": int(NOW.timestamp()),
            "exp": int((NOW + HOUR).timestamp()),
        },
        old,
        algorithm="EdDSA",
        headers={"kid": "old"},
    )
    assert private
    assert verifier.verify(token).passenger.yandex_uid == "4002"


def _claims() -> dict[str, Any]:
    return {"sub": "4001", "iat": int(NOW.timestamp()), "exp": int((NOW + HOUR).timestamp())}


def _of_public_key(folder: Path) -> str:
    # PyJWT refuses to make such a token, an attacker does not.
    import base64
    import hashlib
    import hmac
    import json

    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "kid": "young"}, _claims())
    )
    secret = (folder / "young.public.pem").read_bytes()
    mac = base64.urlsafe_b64encode(hmac.digest(secret, head + b"." + body, hashlib.sha256)).rstrip(b"=")
    return b".".join((head, body, mac)).decode()


def _of_stranger(kid: str) -> Callable[[Path], str]:
    return lambda _folder: jwt.encode(_claims(), Ed25519PrivateKey.generate(), algorithm="EdDSA", headers={"kid": kid})


def _tampered(folder: Path) -> str:
    head, body, signature = signed(KeyRing(folder), sub="4001").split(".")
    other = signed(KeyRing(folder), sub="4002").split(".")[1]
    assert body != other
    return f"{head}.{other}.{signature}"


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(_of_public_key, id="HS256 with the public key as the secret"),
        pytest.param(
            lambda _folder: jwt.encode(_claims(), "", algorithm="none", headers={"kid": "young"}), id="no signature"
        ),
        pytest.param(_of_stranger("young"), id="another key under a known id"),
        pytest.param(_of_stranger("unknown"), id="an unknown key id"),
        pytest.param(_of_stranger("../young"), id="a key id that is a path"),
        pytest.param(_tampered, id="the claims of another token"),
        pytest.param(lambda _folder: "garbage", id="garbage"),
        pytest.param(lambda _folder: "a.b.c", id="garbage in three parts"),
        pytest.param(lambda _folder: "é.é.é", id="not ASCII"),
        pytest.param(lambda folder: signed(KeyRing(folder), sub="4" * 4000), id="too long"),
        pytest.param(lambda folder: signed(KeyRing(folder), user_id="u"), id="no uid"),
        pytest.param(lambda folder: signed(KeyRing(folder), sub=""), id="an empty uid"),
        pytest.param(lambda folder: signed(KeyRing(folder), sub=4001), id="a uid that is a number"),
        pytest.param(lambda folder: signed(KeyRing(folder), sub="1", phone_id=["p"]), id="a phone that is a list"),
        pytest.param(lambda folder: signed(KeyRing(folder), sub="1", phone_id=""), id="an empty phone"),
        pytest.param(lambda folder: signed(KeyRing(folder), sub="1", family_role="boss"), id="an unknown role"),
        pytest.param(lambda folder: signed(KeyRing(folder), sub="1\r\nx-yandex-uid: 2"), id="a header of its own"),
        pytest.param(lambda folder: signed(KeyRing(folder), sub=" 1"), id="a space that HTTP would trim"),
        pytest.param(lambda folder: signed(KeyRing(folder), sub="1", user_id="\x00"), id="NUL"),
        pytest.param(lambda folder: signed(KeyRing(folder), sub="1", user_id="ю"), id="a claim that is not ASCII"),
        pytest.param(lambda folder: signed(KeyRing(folder), sub="1" * 129), id="129 characters"),
    ],
)
def test_a_token_that_cannot_be_trusted_is_invalid(
    folder: Path, verifier: SessionVerifier, forge: Callable[[Path], str]
) -> None:
    with pytest.raises(SessionInvalid) as caught:
        verifier.verify(forge(folder))
    assert caught.value.reason == "SESSION_INVALID"


def test_the_longest_value_has_128_characters(keys: KeyRing, verifier: SessionVerifier) -> None:
    assert verifier.verify(signed(keys, sub="1" * 128)).passenger.yandex_uid == "1" * 128


@given(value=st.text(min_size=1, max_size=140))
def test_a_value_is_issued_and_believed_only_if_a_header_carries_it_unchanged(keys: KeyRing, value: str) -> None:
    carried = value.strip() == value and value.isascii() and value.isprintable() and 1 <= len(value) <= 128
    try:
        issue_session_token(keys, yandex_uid="1", phone_id=value, ttl=HOUR, now=NOW)
        issued = True
    except ValueError:
        issued = False
    try:
        token = signed(keys, sub="1", phone_id=value)
        believed = SessionVerifier(keys, clock=lambda: NOW).verify(token).passenger.phone_id == value
    except (DomainError, UnicodeEncodeError):
        believed = False
    assert (issued, believed) == (carried, carried)


def test_a_remembered_session_of_a_removed_key_is_refused(tmp_path: Path) -> None:
    seconds = 0.0
    create_key_pair(tmp_path, "old")
    ring = KeyRing(tmp_path, monotonic=lambda: seconds)
    verifier = SessionVerifier(ring)
    token = issue_session_token(ring, yandex_uid="400", ttl=HOUR, now=datetime.now(UTC))
    assert verifier.verify(token).passenger.yandex_uid == "400"

    create_key_pair(tmp_path, "young")
    (tmp_path / "old.public.pem").unlink()
    seconds += 2

    with pytest.raises(SessionInvalid):
        verifier.verify(token)
