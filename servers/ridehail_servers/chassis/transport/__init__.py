"""How calls get from the network to their handlers, and responses back. `server.yaml` chooses between two ways.

`grpcio` is gRPC's own server, and does all that `server.yaml` and `--tls-dir` offer. `native` does HTTP/2 in Rust,
outside of Python's lock, for a fraction of the processor time. Both call the same handlers in the same way:
tests/chassis/transport/ runs on both.
"""

from .base import MethodHandlers, Transport
from .choice import TransportUnfit, choose, chosen_transport

__all__ = ["MethodHandlers", "Transport", "TransportUnfit", "choose", "chosen_transport"]
