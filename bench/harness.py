"""What a case is built from: tables, servers and requests."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ridehail_kernel.metadata_keys import TICKET_KEY
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.passenger import Identity
from ridehail_servers.chassis.tickets import TicketIssuer

from .comparison import Contender
from .load import Load, write_bodies
from .servers import Running, Servers
from .tables import Tables, random_id

_SEED = 1


@dataclass(frozen=True)
class Harness:
    """Everything at hand.

    Attributes:
        servers: Starts servers.
        tables: Makes databases.
        orders: How many orders, or users, the tables have, where a case is not about their size.
        sizes: The two sizes of the case that is.
        callers: Requests under way at any moment.
        messages: How many different ones a contender is sent, at most.
    """

    servers: Servers
    tables: Tables
    orders: int
    sizes: tuple[int, int]
    callers: int
    messages: int

    def contender(
        self,
        name: str,
        server: Running,
        path: str,
        body: Callable[[Callable[[], str]], bytes],
        *,
        service: str = "toll-roads",
        rider: str | None = None,
        orders: int | None = None,
        orders_per_request: int = 1,
        messages: int = 50_000,
    ) -> Contender:
        """Returns a contender that is asked for random orders or users.

        Args:
            name: As the table shows it.
            server: Who is asked.
            path: Of the gRPC method or the HTTP resource.
            body: Makes a message; it is handed what gives the id of a random order or user.
            service: Whom the ticket is for.
            rider: On whose behalf the gateway calls, a member of a family; None: another service calls.
            orders: From how many orders to choose; None: all of the usual tables.
            orders_per_request: How many ids a message holds.
            messages: How many different ones there are, at most.
        """
        chance = random.Random(_SEED)
        stored = orders or self.orders
        number = min(messages, self.messages)
        made = (body(lambda: random_id(chance.randint(1, stored))) for _ in range(number))
        bodies = write_bodies(self.servers.folder / f"{name.replace(' ', '-').replace('/', '-')}.bodies", made)
        headers = self._ticket(service) if rider is None else self._rider(service, rider)
        asked = Load(server.protocol, server.address, path, bodies, headers, self.callers)
        return Contender(name, server, asked, orders_per_request)

    def passengers_contender(
        self,
        name: str,
        server: Running,
        path: str,
        body: Callable[[str], bytes],
        *,
        service: str | None,
        riders: int,
    ) -> Contender:
        """Returns a contender that is asked as the gateway asks on behalf of passengers, each time of a random one.

        Args:
            name: As the table shows it.
            server: Who is asked.
            path: Of the gRPC method or the HTTP resource.
            body: Makes the message of a passenger.
            service: Whom the ticket is for. None: it verifies no ticket, and a header names the passenger.
            riders: From how many passengers to choose.
        """
        chance = random.Random(_SEED)
        uids = [random_id(chance.randint(1, riders)) for _ in range(self.messages)]
        file = self.servers.folder / f"{name.replace(' ', '-').replace('/', '-')}.bodies"
        bodies = write_bodies(file, map(body, uids))
        if service is None:
            each = ("x-yandex-uid", write_bodies(file.with_suffix(".uids"), (uid.encode() for uid in uids)))
        else:
            ticket_of = TicketIssuer(self._keys, "gateway").issue
            tickets = (ticket_of(service, passenger=Identity(uid)).encode() for uid in uids)
            each = (TICKET_KEY, write_bodies(file.with_suffix(".tickets"), tickets))
        asked = Load(server.protocol, server.address, path, bodies, {}, self.callers, each)
        return Contender(name, server, asked)

    @property
    def _keys(self) -> KeyRing:
        return KeyRing(self.servers.folder / "keys" / "tickets")

    def _ticket(self, service: str) -> Mapping[str, str]:
        return {TICKET_KEY: TicketIssuer(self._keys, "api-proxy").issue(service)}

    def _rider(self, service: str, rider: str) -> Mapping[str, str]:
        passenger = Identity(rider, family_role="user")
        return {TICKET_KEY: TicketIssuer(self._keys, "gateway").issue(service, passenger=passenger)}
