"""Names of the metadata that calls carry."""

from __future__ import annotations

from typing import Final

TICKET_KEY: Final = "x-ya-service-ticket"
REQUEST_ID_KEY: Final = "x-request-id"
AUTHORIZATION_KEY: Final = "authorization"
MOCK_WRITE_KEY: Final = "x-ya-mock-write-request"
