"""Which running server a command calls, and how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from inspect import Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .options import (
    DEFAULT_DATA_DIR,
    AddressOption,
    DataDirOption,
    KeysDirOption,
    TlsDirOption,
    UsageError,
    given_addresses,
)

if TYPE_CHECKING:
    import grpc

    from ridehail_servers.chassis.tickets import TicketIssuer

_CALLER: Final = "admin"
_LOCAL_ADDRESS: Final = "127.0.0.1:50051"


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that an admin's command calls.

    Attributes:
        service: Its certificate has to name it, whatever the address.
        address: As gRPC takes it.
        tickets_dir: Key folders by caller.
        tls_dir: See `--tls-dir`.
    """

    service: str
    address: str
    tickets_dir: Path
    tls_dir: Path | None

    def tickets(self) -> TicketIssuer:
        from ridehail_servers.chassis.keys import KeyRing
        from ridehail_servers.chassis.tickets import TicketIssuer

        return TicketIssuer(KeyRing(self.tickets_dir), _CALLER)

    def async_channel(self) -> grpc.aio.Channel:
        from ridehail_clients import open_async_channel

        return open_async_channel(self.address, credentials=self._credentials(), server_name=self._server_name)

    def sync_channel(self) -> grpc.Channel:
        from ridehail_clients import open_sync_channel

        return open_sync_channel(self.address, credentials=self._credentials(), server_name=self._server_name)

    @property
    def _server_name(self) -> str | None:
        return None if self.tls_dir is None else self.service

    def _credentials(self) -> grpc.ChannelCredentials | None:
        from ridehail_clients import tls_from_dir

        return None if self.tls_dir is None else tls_from_dir(self.tls_dir)


def on_a_server(service: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command the options that say where a service is; its first argument becomes a `RunningServer`."""

    def server(
        address: AddressOption = None,
        data_dir: DataDirOption = DEFAULT_DATA_DIR,
        keys_dir: KeysDirOption = None,
        tls_dir: TlsDirOption = None,
    ) -> RunningServer:
        known = given_addresses(address or ())
        if known and service not in known:
            raise UsageError(f"give --address {service}=HOST:PORT")
        tickets_dir = (keys_dir or data_dir / "keys") / "tickets"
        return RunningServer(service, known.get(service, _LOCAL_ADDRESS), tickets_dir, tls_dir)

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        (_, *own), common = (list(signature(one, eval_str=True).parameters.values()) for one in (command, server))

        @wraps(command)
        def run(**given: object) -> None:
            found = server(**{one.name: given.pop(one.name) for one in common})  # type: ignore[arg-type]  # typer's
            command(found, **given)

        run.__annotations__ = {one.name: one.annotation for one in (*own, *common)}
        vars(run)["__signature__"] = Signature([*own, *common])
        return run

    return decorate
