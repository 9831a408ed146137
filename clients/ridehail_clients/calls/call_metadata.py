"""The metadata that goes out with a call."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ridehail_clients.calls.tickets import TicketSource
from ridehail_kernel.call_context import request_id
from ridehail_kernel.metadata_keys import AUTHORIZATION_KEY, REQUEST_ID_KEY, TICKET_KEY

Metadata = Sequence[tuple[str, str]]
"""Names, in lower case, and values."""

Credentials = Callable[[], Metadata]
"""Returns the metadata that identifies the caller to the server; called once per call."""


def ticket_credentials(ticket: TicketSource | None, destination: str) -> Credentials:
    """Returns credentials of a service that calls the service `destination`; without tickets they are empty."""
    return lambda: () if ticket is None else ((TICKET_KEY, ticket(destination)),)


def session_credentials(session_token: str | None) -> Credentials:
    """Returns credentials of a passenger; without a session token they are empty."""
    sent: Metadata = () if session_token is None else ((AUTHORIZATION_KEY, f"Bearer {session_token}"),)
    return lambda: sent


def with_flag(given: Metadata, key: str) -> Metadata:
    """Returns the caller's metadata with a flag of the called method set."""
    return (*(pair for pair in given if pair[0] != key), (key, "1"))


def outgoing_metadata(credentials: Credentials, given: Metadata) -> tuple[tuple[str, str], ...]:
    """Returns the metadata of a call: the caller's own, then credentials and request id where the caller gave none."""
    own = tuple(credentials())
    if incoming := request_id():
        own = (*own, (REQUEST_ID_KEY, incoming))
    if not given:
        return own
    names = {name for name, _ in given}
    return (*given, *(pair for pair in own if pair[0] not in names))
