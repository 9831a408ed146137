"""`ridehail gateway config`, `ridehail gateway docs` and `ridehail gateway check`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import DEFAULT_DATA_DIR, DataDirOption, KeysDirOption, UsageError, given_addresses

if TYPE_CHECKING:
    from ridehail_servers.gateway.configuration import GatewaySettings

app = typer.Typer(name="gateway", help="The gateway: Envoy, configured from the contracts.", no_args_is_help=True)

_CHECK_ADDRESS = "127.0.0.1:50051"


@app.command()
def config(
    address: Annotated[
        list[str],
        typer.Option(
            "--address",
            envvar="RIDEHAIL_ADDRESSES",
            help="The address of a service, as in toll-roads=10.0.0.7:50051. May be repeated.",
        ),
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Any other setting, as in public_host=0.0.0.0 or max_connections=20000. May be repeated."
        ),
    ] = None,
    public_port: Annotated[int, typer.Option(min=1, max=65535, help="For passengers' apps.")] = 8080,
    internal_port: Annotated[int, typer.Option(min=1, max=65535, help="For other services.")] = 8081,
    admin_port: Annotated[int, typer.Option(min=1, max=65535, help="Envoy's own, on the loopback address.")] = 9901,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            help="For Prometheus: /stats/prometheus, with --set metrics_host=0.0.0.0 for others than this machine;"
            " default: none.",
        ),
    ] = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    keys_dir: KeysDirOption = None,
    tls_dir: Annotated[
        Path | None,
        typer.Option(
            "--tls-dir",
            envvar="RIDEHAIL_TLS_DIR",
            help="Folder of ca.pem, cert.pem and key.pem where Envoy runs: TLS on both listeners and to all services;"
            " default: plain text. Needs --output, beside which a folder, ...-tls, is written.",
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="A file to write; default: standard output.")] = None,
    with_descriptors: Annotated[
        bool,
        typer.Option(
            "--with-descriptors",
            help="Also copy the contracts beside --output, as descriptors.binpb, and let Envoy read them there: for an"
            " Envoy without the files of this installation, as in a container.",
        ),
    ] = False,
) -> None:
    """Print Envoy's configuration. It holds the gateway's key: keep it as secret as that."""
    from shutil import copyfile

    from ridehail_servers import suite
    from ridehail_servers.chassis.keys import GATEWAY_KEY_FILE, read_secrets
    from ridehail_servers.gateway.configuration import default_descriptor_set, render
    from ridehail_servers.runtime.data_dir import write_secret

    values: dict[str, object] = {
        "public_port": public_port,
        "internal_port": internal_port,
        "metrics_port": metrics_port,
        "upstreams": given_addresses(address),
        "gateway_key": read_secrets((keys_dir or data_dir / "keys") / GATEWAY_KEY_FILE)[-1],
    }
    for entry in settings or ():
        key, separator, value = entry.partition("=")
        if not separator:
            raise UsageError(f"--set takes KEY=VALUE, not {entry!r}")
        values[key] = value
    if "admin_socket" not in values:
        values["admin_port"] = admin_port
    secrets: Path | None = None
    if tls_dir is not None:
        beside = _needed(output, "--tls-dir")
        secrets = beside.with_name(f"{beside.stem}-tls")
        values = {"tls_dir": tls_dir.absolute(), "tls_secrets": secrets.absolute(), **values}
    if with_descriptors:
        beside = _needed(output, "--with-descriptors").absolute()
        values = {"descriptor_set": beside.with_name("descriptors.binpb"), **values}
    given = _settings(values)
    text = render(given, suite.SERVICES.values())
    if secrets is not None:
        _write_tls_secrets(secrets, given)
    if with_descriptors:
        copyfile(default_descriptor_set(), given.descriptor_set)
    if output is None:
        typer.echo(
            "ridehail: what follows holds the gateway's key; --output writes a file that only you can read", err=True
        )
        sys.stdout.write(text)
    else:
        write_secret(output, text)


@app.command()
def docs(folder: Annotated[Path, typer.Argument(help="A folder, which is created if it is missing.")]) -> None:
    """Write the files of the page at /docs; `gateway config --set docs_dir=...` says where Envoy finds them."""
    from ridehail_servers.gateway import api_docs

    if not api_docs.write(folder):
        raise UsageError("Scalar is not installed: install ridehail[embedded]")


@app.command()
def check() -> None:
    """Render a configuration with stand-in values and let Envoy validate it. Part of `make check`."""
    import tempfile

    from ridehail_servers import suite
    from ridehail_servers.gateway.configuration import render
    from ridehail_servers.gateway.envoy_program import validate

    values = {
        "public_port": 8080,
        "internal_port": 8081,
        "admin_port": 9901,
        "metrics_port": 9464,
        "upstreams": dict.fromkeys(suite.SERVICES, _CHECK_ADDRESS),
        "gateway_key": "0123456789abcdef",
    }
    validate(render(_settings(values), suite.SERVICES.values()))
    with tempfile.TemporaryDirectory() as folder:
        secrets = Path(folder, "envoy-tls")
        encrypted = _settings({**values, "tls_dir": folder, "tls_secrets": secrets})
        _write_tls_secrets(secrets, encrypted)
        validate(render(encrypted, suite.SERVICES.values()))
    typer.echo("the gateway's configuration is valid")


def _needed(output: Path | None, option: str) -> Path:
    if output is None:
        raise UsageError(f"{option} needs --output: there are several files to write")
    return output


def _write_tls_secrets(folder: Path, settings: GatewaySettings) -> None:
    from ridehail_servers.gateway.configuration import render_tls_secrets
    from ridehail_servers.runtime.data_dir import write_secret

    folder.mkdir(exist_ok=True)
    for name, text in render_tls_secrets(settings).items():
        write_secret(folder / name, text)


def _settings(values: dict[str, object]) -> GatewaySettings:
    from pydantic import ValidationError

    from ridehail_servers.gateway.configuration import GatewaySettings

    try:
        return GatewaySettings.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise UsageError(f"{'.'.join(map(str, first['loc'])) or 'gateway'}: {first['msg']}") from error
