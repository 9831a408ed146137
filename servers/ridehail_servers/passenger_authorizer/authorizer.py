"""Decides whether a passenger's request may pass, and as whose.

Only services for passengers are within reach: a request for any other path is denied even with a good session, should
the gateway ever let one come this far.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ridehail_servers.chassis.clock import Clock, system_clock
from ridehail_servers.chassis.errors import DomainError
from ridehail_servers.chassis.passenger import Identity
from ridehail_servers.chassis.tokens import LEEWAY

from .session_tokens import Session, SessionInvalid, SessionMissing, SessionVerifier

_SCHEME = "bearer"
# Much less than what is left of a ticket's life when it is given away.
_REMEMBER_S = 60.0


@dataclass(frozen=True, slots=True)
class Allowed:
    """The request may pass.

    Attributes:
        session: Whose it is.
        ticket: The gateway's service ticket for the called service, bound to the passenger.
        remember_s: For how many seconds the same token may be let pass to the same service, by the same rules.
    """

    session: Session
    ticket: str
    remember_s: float


class PathNotForPassengers(DomainError):
    """The called method is not one of a service for passengers."""

    def __init__(self) -> None:
        super().__init__("CALLER_NOT_ALLOWED", "the method is not for passengers")


class Authorizer:
    """Decides about requests one by one; remembers nothing but verified tokens.

    Args:
        sessions: Verifies session tokens.
        ticket: Creates the gateway's ticket for a called service and a passenger.
        destinations: Full name of each gRPC service for passengers -> the service of the suite that serves it.
        clock: Returns the present time.
    """

    def __init__(
        self,
        sessions: SessionVerifier,
        *,
        ticket: Callable[[str, Identity], str],
        destinations: Mapping[str, str],
        clock: Clock = system_clock,
    ) -> None:
        self._sessions = sessions
        self._ticket = ticket
        self._destinations = dict(destinations)
        self._clock = clock

    def rules(self) -> str:
        """Returns what sessions are judged by. Read it before a decision: see `SessionVerifier.rules`."""
        return self._sessions.rules()

    def decide(self, *, authorization: str | None, path: str) -> Allowed | DomainError:
        """Decides about a request; a refusal is returned as the error that it is.

        Args:
            authorization: The request's header of this name, if it has one. Not trusted.
            path: The gRPC path of the called method, `/package.Service/Method`. Not trusted.
        """
        try:
            destination = self._destination(path)
            session = self._sessions.verify(_bearer_token(authorization))
        except DomainError as error:
            return error
        left_s = session.expires_at + LEEWAY.total_seconds() - self._clock().timestamp()
        return Allowed(session, self._ticket(destination, session.passenger), min(_REMEMBER_S, left_s))

    def _destination(self, path: str) -> str:
        match path.split("/"):
            case ["", service, method] if service in self._destinations and method:
                return self._destinations[service]
        raise PathNotForPassengers


def _bearer_token(authorization: str | None) -> str:
    """Returns the only token of an `Authorization` header.

    Raises:
        SessionMissing: There is no header, or it is of another scheme, or names no token.
        SessionInvalid: There is more than one token; two headers of this name reach us joined by a comma.
    """
    scheme, _, rest = (authorization or "").strip().partition(" ")
    credentials = rest.split()
    if scheme.lower() != _SCHEME or not credentials:
        raise SessionMissing
    if len(credentials) > 1 or "," in credentials[0]:
        raise SessionInvalid
    return credentials[0]
