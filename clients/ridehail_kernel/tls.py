"""TLS by files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import grpc

CA: Final = "ca.pem"
CERTIFICATE: Final = "cert.pem"
KEY: Final = "key.pem"


def tls_from_dir(folder: Path) -> grpc.ChannelCredentials:
    """Returns credentials for channels to servers whose certificates the folder's authority has issued.

    The files are read now: a channel goes on with them however they change.

    Args:
        folder: Holds `ca.pem`, and `cert.pem` (with its chain) and `key.pem` unless the server asks for no certificate.

    Raises:
        OSError: A file cannot be read.
    """
    certificate, key = folder / CERTIFICATE, folder / KEY
    has_own = certificate.exists() or key.exists()
    return grpc.ssl_channel_credentials(
        (folder / CA).read_bytes(),
        key.read_bytes() if has_own else None,
        certificate.read_bytes() if has_own else None,
    )
