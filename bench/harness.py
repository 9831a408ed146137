"""What a case is built from: tables, servers and requests."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ridehail_kernel.metadata_keys import TICKET_KEY
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.passenger import Identity
from ridehail_servers.chassis.tickets import TicketIssuer

from .comparison import Contender
from .load import Load, write_bodies
from .servers import Running, Servers
from .tables import RIDER, Tables, random_id

_SEED = 1


@dataclass(frozen=True)
class Harness:
    """Starts servers, fills tables, and makes contenders of both.

    Attributes:
        orders: Rows in the tables where a case is not about their size.
        sizes: The two sizes of the case that is.
        callers: Requests under way at any time.
        messages: Maximal number of different messages that a contender is sent.
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
        """Returns a contender that looks up random orders or users.

        Args:
            body: Makes a message from a function that returns a random id.
            service: Destination of the ticket.
            rider: Passenger for whom the gateway calls, or None if a service calls.
            orders: Number of ids to choose from, or None for the usual tables.
            orders_per_request: Ids in a message.
            messages: Maximal number of different messages.
        """
        chance = random.Random(_SEED)
        stored = orders or self.orders
        number = min(messages, self.messages)
        requests = (body(lambda: random_id(chance.randint(1, stored))) for _ in range(number))
        bodies = write_bodies(self._file(name), requests)
        headers = self._ticket(service) if rider is None else self._rider(service, rider)
        load = Load(server.protocol, server.address, path, bodies, headers, self.callers)
        return Contender(name, server, load, orders_per_request)

    def passengers_contender(
        self,
        name: str,
        server: Running,
        path: str,
        body: Callable[[str], bytes],
        *,
        service: str | None,
        riders: int,
        active: int,
    ) -> Contender:
        """Returns a contender that the gateway calls for random passengers, each of whom it has seen once beforehand.

        Args:
            body: Makes the message of a passenger.
            service: Destination of the ticket, or None where a header names the passenger.
            riders: Number of passengers that are stored.
            active: Number of those that call.
        """
        uids = [random_id(number) for number in random.Random(_SEED).sample(range(1, riders + 1), min(active, riders))]
        file = self._file(name)
        bodies = write_bodies(file, map(body, uids))
        if service is None:
            each = ("x-yandex-uid", write_bodies(file.with_suffix(".uids"), (uid.encode() for uid in uids)))
        else:
            ticket_of = TicketIssuer(self._keys, "gateway").issue
            tickets = (ticket_of(service, passenger=Identity(uid)).encode() for uid in uids)
            each = (TICKET_KEY, write_bodies(file.with_suffix(".tickets"), tickets))
        load = Load(server.protocol, server.address, path, bodies, {}, self.callers, each)
        return Contender(name, server, load, warm=True)

    def rides_contender(
        self,
        name: str,
        server: Running,
        path: str,
        body: Callable[[str], bytes],
        *,
        rides: int,
        dependencies: Sequence[Running],
    ) -> Contender:
        """Returns a contender that `RIDER` calls about random rides, of which it has seen each once beforehand.

        Args:
            body: Makes the message about a ride.
            rides: Number of rides to choose from.
            dependencies: Whom the server calls.
        """
        bodies = write_bodies(self._file(name), (body(random_id(number)) for number in range(1, rides + 1)))
        headers = self._rider("api-proxy", RIDER) if server.protocol == "grpc" else {"x-yandex-uid": RIDER}
        load = Load(server.protocol, server.address, path, bodies, headers, self.callers)
        return Contender(name, server, load, dependencies=dependencies, warm=True)

    def _file(self, contender: str) -> Path:
        return self.servers.folder / f"{contender.replace(' ', '-').replace('/', '-')}.bodies"

    @property
    def _keys(self) -> KeyRing:
        return KeyRing(self.servers.folder / "keys" / "tickets")

    def _ticket(self, service: str) -> Mapping[str, str]:
        return {TICKET_KEY: TicketIssuer(self._keys, "api-proxy").issue(service)}

    def _rider(self, service: str, rider: str) -> Mapping[str, str]:
        passenger = Identity(rider, family_role="user")
        return {TICKET_KEY: TicketIssuer(self._keys, "gateway").issue(service, passenger=passenger)}
