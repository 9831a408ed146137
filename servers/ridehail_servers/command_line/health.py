"""`ridehail health`. Containers run it every few seconds: it loads neither the servers nor the client library."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from .options import TlsDirOption, UsageError, service_names

_TIMEOUT_S: Final = 3.0


def health(
    service: Annotated[str, typer.Argument(help="Name of a service that it serves.", autocompletion=service_names)],
    grpc_port: Annotated[int, typer.Option("--grpc-port", min=1, max=65535, help="Its port.")] = 50051,
    liveness: Annotated[bool, typer.Option("--liveness", help="Ask whether it lives, not whether it serves.")] = False,
    tls_dir: TlsDirOption = None,
) -> None:
    """Ask the server on this machine whether it serves: for probes of containers. The exit code is 1 if it does not."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    from ridehail_kernel.tls import tls_from_dir
    from ridehail_servers.chassis.health_names import LIVENESS, REASON_KEY

    target = f"127.0.0.1:{grpc_port}"
    options: list[tuple[str, str | int]] = [("grpc.enable_http_proxy", 0)]
    if tls_dir is None:
        channel = grpc.insecure_channel(target, options)
    else:
        options.append(("grpc.ssl_target_name_override", service))
        channel = grpc.secure_channel(target, tls_from_dir(tls_dir), options)
    with channel:
        check = health_pb2_grpc.HealthStub(channel).Check.with_call
        try:
            response, call = check(health_pb2.HealthCheckRequest(service=LIVENESS if liveness else ""), _TIMEOUT_S)
        except grpc.RpcError as error:
            raise UsageError(f"{target}: {error.code().name} {error.details()}") from error
    if response.status != health_pb2.HealthCheckResponse.SERVING:
        raise UsageError(f"{target} is not serving: {dict(call.trailing_metadata()).get(REASON_KEY, '')}")
