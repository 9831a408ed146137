"""Service tickets: who calls (`src`) and whom (`dst`), for an hour at most.

Each source signs with keys of its own, `<source>/<kid>.private.pem` of the ring: whoever has them speaks for that
source only. A ticket of the gateway is bound to a passenger (`uid`, `user_id`, `family_role`, `phone_id`): it is good
for calls on that passenger's behalf only, so one that leaks opens nobody else's orders.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from cachetools import LRUCache

from ridehail_kernel.metadata_keys import TICKET_KEY

from . import tokens
from .clock import Clock, system_clock
from .errors import DomainError
from .keys import KeyRing, KeysMissing
from .passenger import Identity

GATEWAY = "gateway"
"""The source of tickets that are bound to a passenger."""
MAX_TTL = timedelta(hours=1)
# Issued tickets are reused for this share of their life, so that a call never leaves with one about to expire.
_REUSE_SHARE = 0.5
_CACHE_SIZE = 10_000
_CLAIMS_REMEMBERED = 1_000
# In the order of `Identity`.
_PASSENGER_CLAIMS = ("uid", "user_id", "family_role", "phone_id")


@dataclass(frozen=True, slots=True)
class Ticket:
    """A verified ticket.

    Attributes:
        passenger: The only passenger on whose behalf it may be used, or None if it is not bound to one.
        expires_at: Unix time in seconds.
    """

    source: str
    destination: str
    passenger: Identity | None
    expires_at: int


class TicketMissing(DomainError):
    def __init__(self) -> None:
        super().__init__("TICKET_MISSING", f"metadata {TICKET_KEY} is missing")


class TicketInvalid(DomainError):
    def __init__(self, why: str = "") -> None:
        super().__init__("TICKET_INVALID", "the service ticket is invalid" + (why and f": {why}"))


class TicketExpired(DomainError):
    def __init__(self, ago_s: int) -> None:
        super().__init__("TICKET_EXPIRED", f"the ticket expired {ago_s} s ago by our clock")


class TicketWrongDestination(DomainError):
    def __init__(self, service: str) -> None:
        super().__init__(
            "TICKET_WRONG_DESTINATION",
            f"the service ticket is not for {service}",
            {"service": service},
        )


# A caller sends the same ticket for minutes.
@lru_cache(_CLAIMS_REMEMBERED)
def claimed_destination(token: str | None) -> str:
    """Returns the service that a call's ticket claims to be for, unverified; empty if there is no readable ticket."""
    return tokens.unverified_text(token, "dst") if token else ""


class TicketIssuer:
    """Issues tickets of one source, and reuses them."""

    def __init__(
        self, keys: KeyRing, source: str, *, clock: Clock = system_clock, ttl: timedelta = timedelta(minutes=10)
    ) -> None:
        """Creates an issuer of tickets that are valid for `ttl`; raises `ValueError` if that is not within (0, 1 h].

        The keys have to hold a private key of the source by the time of the first ticket.
        """
        if not timedelta(0) < ttl <= MAX_TTL:
            raise ValueError("a ticket is valid for more than 0 and at most 3600 seconds")
        self._keys = keys
        self._source = source
        self._clock = clock
        self._ttl = ttl
        self._lock = threading.Lock()
        # Of each ticket until when it is reused.
        self._issued: LRUCache[tuple[str, Identity | None], tuple[str, datetime]] = LRUCache(_CACHE_SIZE)

    def __call__(self, destination: str, passenger: Identity | None = None) -> str:
        """Returns a ticket that is valid for at least half of the ttl, see `issue`."""
        key = (destination, passenger)
        with self._lock:
            issued = self._issued.get(key)
            now = self._clock()
            if issued is None or now >= issued[1]:
                issued = (self.issue(destination, passenger=passenger), now + self._ttl * _REUSE_SHARE)
                self._issued[key] = issued
            return issued[0]

    def issue(self, destination: str, *, passenger: Identity | None = None) -> str:
        """Returns a new ticket, bound to the passenger if there is one; raises `KeysMissing` without a private key."""
        claims = {"src": self._source, "dst": destination}
        if passenger is not None:
            stated = zip(_PASSENGER_CLAIMS, passenger.headers().values(), strict=True)
            claims |= {name: value for name, value in stated if value}
        return tokens.sign(self._keys, claims, now=self._clock(), ttl=self._ttl, owner=self._source)


class TicketVerifier:
    """Verifies tickets, each signature once."""

    def __init__(self, keys: KeyRing, *, clock: Clock = system_clock) -> None:
        """Creates a verifier; raises `KeysMissing` if no source has a key of its own."""
        if not keys.owners():
            raise KeysMissing("no source has a ticket key: they are tickets/<source>/<kid>.public.pem")
        self._keys = keys
        self._clock = clock
        self._verified = tokens.VerifiedTokens(keys, self._read, clock=clock)

    def verify(self, token: str | None, *, destination: str) -> Ticket:
        """Returns the ticket, if it is good for calling `destination` now.

        Raises:
            TicketMissing: There is none.
            TicketInvalid: It cannot be read, is not signed by a key of its source, is valid for more than an hour,
                names a passenger that cannot be, or was issued in the future; then the message says that the clocks
                differ, and by how much.
            TicketExpired: It is too old.
            TicketWrongDestination: It is for another service.
        """
        if not token:
            raise TicketMissing
        ticket = self._verified.get(token)
        if ticket.destination != destination:
            raise TicketWrongDestination(destination)
        return ticket

    def _read(self, token: str) -> Ticket:
        try:
            claims = tokens.verify(self._keys, token, now=self._clock(), required=("src", "dst"), owned_by="src")
        except tokens.TokenExpired as error:
            raise TicketExpired(error.ago_s) from error
        except tokens.TokenFromTheFuture as error:
            why = f"it was issued {error.ahead_s} s in the future by our clock; compare the clocks of caller and server"
            raise TicketInvalid(why) from error
        except tokens.TokenInvalid as error:
            raise TicketInvalid from error
        if claims["exp"] - claims["iat"] > MAX_TTL.total_seconds():
            raise TicketInvalid
        return Ticket(claims["src"], claims["dst"], _passenger(claims), claims["exp"])


def _passenger(claims: dict[str, Any]) -> Identity | None:  # claims are JSON
    stated = [claims.get(name, "") for name in _PASSENGER_CLAIMS]
    if not claims.keys() & set(_PASSENGER_CLAIMS):
        return None
    if not all(isinstance(value, str) for value in stated):
        raise TicketInvalid
    try:
        return Identity(*stated)
    except ValueError as error:
        raise TicketInvalid from error
