"""Where service tickets come from."""

from __future__ import annotations

import os
from collections.abc import Callable

TicketSource = Callable[[str], str]
"""Takes the name of the called service, as in `toll-roads`, and returns a ticket for it.

Called before every call, in asyncio programs on the event loop: it has to return from memory.
"""


def static_ticket(token: str) -> TicketSource:
    """Returns a source that always gives the same ticket.

    Args:
        token: The ticket. A ticket is good for one called service, and for an hour at most.
    """
    return lambda _destination: token


def ticket_from_env(variable: str = "RIDEHAIL_TICKET") -> TicketSource:
    """Returns a source that reads the ticket from the environment at every call.

    Args:
        variable: Name of the environment variable.

    Returns:
        The source. It raises LookupError when the variable is missing or empty.
    """

    def read(destination: str) -> str:
        token = os.environ.get(variable)
        if not token:
            raise LookupError(f"no ticket for {destination}: the environment variable {variable} is not set")
        return token

    return read
