"""Key rings and the tokens that they sign."""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import json
import stat
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ridehail_servers.chassis.keys import KeyRing, KeysMissing, create_key_pair
from ridehail_servers.chassis.tokens import LEEWAY, TokenExpired, TokenInvalid, sign, verify
from tests.support.log_capture import LogCapture

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Seconds:
    """A monotonic clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_key_pair(tmp_path / "ring", "key-1")
    return tmp_path / "ring"


@pytest.fixture
def ring(folder: Path, seconds: Seconds) -> KeyRing:
    return KeyRing(folder, monotonic=seconds)


def a_token(ring: KeyRing, **claims: Any) -> str:
    return sign(ring, {"src": "a", **claims}, now=NOW, ttl=MINUTE)


def accepted(ring: KeyRing, token: str, *, now: datetime = NOW) -> dict[str, Any]:
    return verify(ring, token, now=now, required=["src"])


def kid_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


# --- rotation


def test_the_key_whose_id_sorts_last_signs(folder: Path) -> None:
    create_key_pair(folder, "key-2")
    assert kid_of(a_token(KeyRing(folder))) == "key-2"


def test_an_added_key_takes_over_without_a_restart_and_old_tokens_stay_good(
    folder: Path, ring: KeyRing, seconds: Seconds
) -> None:
    old = a_token(ring)

    create_key_pair(folder, "key-2")
    seconds.pass_(10)
    a_token(ring)  # reads the folder
    seconds.pass_(10)

    new = a_token(ring)
    assert kid_of(new) == "key-2"
    assert accepted(ring, old)["src"] == accepted(ring, new)["src"] == "a"


def test_a_key_signs_only_once_all_processes_have_had_the_time_to_read_it(
    folder: Path, ring: KeyRing, seconds: Seconds
) -> None:
    other_process = KeyRing(folder, monotonic=seconds)
    seconds.pass_(0.5)
    later_process = KeyRing(folder, monotonic=seconds)
    create_key_pair(folder, "key-2")

    for _ in range(60):
        seconds.pass_(0.1)
        token = a_token(ring)
        assert accepted(other_process, token)
        assert accepted(later_process, token)
    assert kid_of(token) == "key-2"


def test_without_its_private_half_a_key_signs_no_more_but_its_tokens_stay_good(folder: Path, seconds: Seconds) -> None:
    create_key_pair(folder, "key-2")
    ring = KeyRing(folder, monotonic=seconds)
    token = a_token(ring)

    (folder / "key-2.private.pem").unlink()
    seconds.pass_(1)

    assert kid_of(a_token(ring)) == "key-1"
    assert accepted(ring, token)["src"] == "a"


def test_a_removed_key_is_good_for_nothing_after_a_second(folder: Path, seconds: Seconds) -> None:
    create_key_pair(folder, "key-2")
    ring = KeyRing(folder, monotonic=seconds)
    token = a_token(ring)
    accepted(ring, token)
    before = ring.withdrawals()

    (folder / "key-2.public.pem").unlink()
    seconds.pass_(1)

    with pytest.raises(TokenInvalid):
        accepted(ring, token)
    assert ring.withdrawals() == before + 1


def test_an_added_key_withdraws_nothing(folder: Path, ring: KeyRing, seconds: Seconds) -> None:
    before = ring.withdrawals()
    create_key_pair(folder, "key-2")
    seconds.pass_(1)
    assert ring.withdrawals() == before


def test_a_replaced_key_is_another_key(folder: Path, ring: KeyRing, seconds: Seconds) -> None:
    token = a_token(ring)
    create_key_pair(folder, "key-1")
    seconds.pass_(1)
    with pytest.raises(TokenInvalid):
        accepted(ring, token)


def test_a_ring_of_public_keys_verifies_and_cannot_sign(folder: Path, ring: KeyRing) -> None:
    token = a_token(ring)
    (folder / "key-1.private.pem").unlink()
    verifier = KeyRing(folder)
    assert accepted(verifier, token)["src"] == "a"
    with pytest.raises(KeysMissing):
        a_token(verifier)


# --- bad files


@functools.cache
def bad_contents() -> dict[str, bytes]:
    foreign = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    return {
        "empty": b"",
        "no PEM": b"\x00\xff nonsense",
        "half a PEM": b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA",
        "an RSA key": foreign.public_key().public_bytes(serialization.Encoding.PEM, info),
    }


@pytest.mark.parametrize("content", bad_contents().values(), ids=bad_contents().keys())
@pytest.mark.parametrize("half", ["public", "private"])
def test_an_unreadable_file_stops_the_start_and_is_named(folder: Path, half: str, content: bytes) -> None:
    (folder / f"key-2.{half}.pem").write_bytes(content)
    with pytest.raises(KeysMissing, match=rf"key-2\.{half}\.pem"):
        KeyRing(folder)


@pytest.mark.parametrize("content", bad_contents().values(), ids=bad_contents().keys())
def test_an_unreadable_file_does_not_disturb_a_running_process(
    folder: Path, ring: KeyRing, seconds: Seconds, log: LogCapture, content: bytes
) -> None:
    token = a_token(ring)

    for name in ("key-1.public.pem", "key-1.private.pem", "key-2.public.pem", "key-2.private.pem"):
        (folder / name).write_bytes(content)
    for _ in range(3):
        seconds.pass_(5)
        assert kid_of(a_token(ring)) == "key-1"
        assert accepted(ring, token)["src"] == "a"

    assert {Path(line["file"]).name for line in log.events("key refused")} == {
        "key-1.public.pem",
        "key-1.private.pem",
        "key-2.public.pem",
        "key-2.private.pem",
    }
    assert len(log.events("key refused")) == 4  # not once a second


def test_a_file_that_was_unreadable_is_taken_once_it_is_good(folder: Path, ring: KeyRing, seconds: Seconds) -> None:
    (folder / "key-2.public.pem").write_bytes(b"")
    seconds.pass_(1)
    assert ring.public_key("key-2") is None
    create_key_pair(folder, "key-2")
    seconds.pass_(1)
    assert ring.public_key("key-2") is not None


def test_a_folder_that_is_out_of_reach_takes_no_keys_away(folder: Path, ring: KeyRing, seconds: Seconds) -> None:
    token = a_token(ring)
    folder.rename(folder.with_name("elsewhere"))
    seconds.pass_(1)
    assert accepted(ring, token)["src"] == "a"


def test_a_ring_without_public_keys_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(KeysMissing, match=str(tmp_path)):
        KeyRing(tmp_path)


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o640, 0o666, 0o602, 0o660])
def test_a_private_key_that_others_can_read_stops_the_start(folder: Path, mode: int) -> None:
    file = folder / "key-1.private.pem"
    file.chmod(mode)
    with pytest.raises(KeysMissing, match=rf"{file} can be read by others \(mode {mode:04o}\): chmod 600 {file}"):
        KeyRing(folder)
    file.chmod(0o400)
    KeyRing(folder)


def test_a_public_key_may_be_read_by_all(folder: Path) -> None:
    (folder / "key-1.public.pem").chmod(0o644)
    KeyRing(folder)


def test_a_new_private_key_that_others_can_read_is_refused_by_a_running_process(
    folder: Path, ring: KeyRing, seconds: Seconds, log: LogCapture
) -> None:
    create_key_pair(folder, "key-2")
    (folder / "key-2.private.pem").chmod(0o644)
    seconds.pass_(10)
    assert kid_of(a_token(ring)) == "key-1"
    (refused,) = log.events("key refused")
    assert "can be read by others" in refused["reason"]


def test_a_private_key_is_readable_by_its_owner_only(folder: Path) -> None:
    mode = stat.S_IMODE((folder / "key-1.private.pem").stat().st_mode)
    assert mode == stat.S_IRUSR | stat.S_IWUSR


# --- forgeries


def encoded(part: Mapping[str, Any] | bytes) -> str:
    content = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def good_claims() -> dict[str, Any]:
    return {"src": "a", "iat": int(NOW.timestamp()), "exp": int((NOW + MINUTE).timestamp())}


def signed_by(
    key: Ed25519PrivateKey, header: Mapping[str, Any], claims: Mapping[str, Any] | bytes | None = None
) -> str:
    text = f"{encoded(header)}.{encoded(claims or good_claims())}"
    return f"{text}.{encoded(key.sign(text.encode()))}"


def test_a_forger_with_the_right_key_would_be_believed(ring: KeyRing) -> None:
    kid, key = ring.signing_key()
    assert accepted(ring, signed_by(key, {"alg": "EdDSA", "kid": kid})) == good_claims()


def test_the_public_key_as_an_hmac_secret_is_refused(folder: Path, ring: KeyRing) -> None:
    secret = (folder / "key-1.public.pem").read_bytes()
    text = f"{encoded({'alg': 'HS256', 'typ': 'JWT', 'kid': 'key-1'})}.{encoded(good_claims())}"
    signature = hmac.new(secret, text.encode(), hashlib.sha256).digest()
    with pytest.raises(TokenInvalid):
        accepted(ring, f"{text}.{encoded(signature)}")


@pytest.mark.parametrize("alg", ["none", "None", "", "HS256", "RS256", "ES256", "eddsa", None, 1, ["EdDSA"]])
def test_another_algorithm_than_eddsa_is_refused_even_with_a_good_signature(ring: KeyRing, alg: object) -> None:
    kid, key = ring.signing_key()
    with pytest.raises(TokenInvalid):
        accepted(ring, signed_by(key, {"alg": alg, "kid": kid}))


@pytest.mark.parametrize("alg", ["none", "EdDSA"])
def test_a_token_without_signature_is_refused(ring: KeyRing, alg: str) -> None:
    text = f"{encoded({'alg': alg, 'kid': 'key-1'})}.{encoded(good_claims())}"
    for token in (text, f"{text}.", f"{text}..", f"{text}.{encoded(b'')}"):
        with pytest.raises(TokenInvalid):
            accepted(ring, token)


def test_a_foreign_key_under_our_id_is_refused(ring: KeyRing) -> None:
    with pytest.raises(TokenInvalid):
        accepted(ring, signed_by(Ed25519PrivateKey.generate(), {"alg": "EdDSA", "kid": "key-1"}))


@pytest.mark.parametrize("kid", ["key-9", "", "../key-1", "key-1.public.pem", "key-1\0", None, 1, ["key-1"], {}])
def test_an_unknown_key_id_is_refused(ring: KeyRing, kid: object) -> None:
    _kid, key = ring.signing_key()
    with pytest.raises(TokenInvalid):
        accepted(ring, signed_by(key, {"alg": "EdDSA", "kid": kid}))


def test_a_token_without_key_id_is_refused(ring: KeyRing) -> None:
    _kid, key = ring.signing_key()
    with pytest.raises(TokenInvalid):
        accepted(ring, signed_by(key, {"alg": "EdDSA"}))


@given(data=st.data())
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_token_with_any_character_changed_is_refused(ring: KeyRing, data: st.DataObject) -> None:
    token = a_token(ring)
    position = data.draw(st.integers(0, len(token) - 1))
    character = data.draw(st.characters(min_codepoint=32, max_codepoint=126))
    assume(character != token[position])
    with pytest.raises(TokenInvalid):
        accepted(ring, token[:position] + character + token[position + 1 :])


@given(data=st.data())
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_token_with_characters_added_or_removed_is_refused(ring: KeyRing, data: st.DataObject) -> None:
    token = a_token(ring)
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(token))] * 2)))
    changed = token[:start] + data.draw(st.text("ab._-=+/ \n\0", max_size=3)) + token[end:]
    assume(changed != token)
    with pytest.raises(TokenInvalid):
        accepted(ring, changed)


@given(token=st.text() | st.lists(st.binary(max_size=40), max_size=4).map(lambda it: ".".join(map(encoded, it))))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_garbage_is_refused_and_nothing_worse(ring: KeyRing, token: str) -> None:
    with pytest.raises(TokenInvalid):
        accepted(ring, token)


@pytest.mark.parametrize("header", [b"[" * 3000, b'{"kid":' * 500, b"1" * 3000, b"null", b'"kid"', b'{"kid": 1e999}'])
def test_a_header_that_is_made_to_choke_the_parser_is_refused(ring: KeyRing, header: bytes) -> None:
    with pytest.raises(TokenInvalid):
        accepted(ring, f"{encoded(header)}.{encoded(b'{}')}.{encoded(b'x')}")


@pytest.mark.parametrize("claims", [b"[1]", b"null", b'"src"', b"[" * 2000, b"{", b"\xff"])
def test_claims_that_are_no_object_are_refused_though_they_are_signed(ring: KeyRing, claims: bytes) -> None:
    kid, key = ring.signing_key()
    with pytest.raises(TokenInvalid):
        accepted(ring, signed_by(key, {"alg": "EdDSA", "kid": kid}, claims))


def test_a_critical_extension_that_nobody_knows_is_refused(ring: KeyRing) -> None:
    kid, key = ring.signing_key()
    with pytest.raises(TokenInvalid):
        accepted(ring, signed_by(key, {"alg": "EdDSA", "kid": kid, "crit": ["x"], "x": 1}))


def test_a_very_long_token_is_refused(ring: KeyRing) -> None:
    with pytest.raises(TokenInvalid):
        accepted(ring, a_token(ring, padding="x" * 5000))


# --- claims


def with_claims(ring: KeyRing, **claims: object) -> str:
    kid, key = ring.signing_key()
    given_claims = {**good_claims(), **claims}
    kept = {name: value for name, value in given_claims.items() if value is not None}
    return jwt.encode(kept, key, algorithm="EdDSA", headers={"kid": kid})


@pytest.mark.parametrize(
    "claims",
    [
        {"src": None},
        {"src": ""},
        {"src": 1},
        {"src": ["a"]},
        {"iat": None},
        {"exp": None},
        {"exp": True},
        {"exp": 1e12},
        {"exp": "99999999999"},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"iat": 1.5},
        {"nbf": "1"},
        {"nbf": int((NOW + timedelta(seconds=1)).timestamp())},
    ],
)
def test_a_missing_or_misshapen_claim_is_refused(ring: KeyRing, claims: dict[str, object]) -> None:
    with pytest.raises(TokenInvalid):
        accepted(ring, with_claims(ring, **claims))


def test_a_token_is_good_until_the_leeway_after_its_end(ring: KeyRing) -> None:
    token = a_token(ring)
    ends = NOW + MINUTE + LEEWAY
    assert timedelta(seconds=30) == LEEWAY
    assert accepted(ring, token, now=ends - timedelta(milliseconds=1))
    with pytest.raises(TokenExpired):
        accepted(ring, token, now=ends)


def test_a_token_is_good_from_the_leeway_before_its_issue(ring: KeyRing) -> None:
    token = a_token(ring)
    begins = NOW - LEEWAY
    assert accepted(ring, token, now=begins)
    with pytest.raises(TokenInvalid):
        accepted(ring, token, now=begins - timedelta(milliseconds=1))
