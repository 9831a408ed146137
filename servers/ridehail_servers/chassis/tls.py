"""TLS by files: a folder with `ca.pem`, `cert.pem` (with its chain) and `key.pem`.

`ca.pem` holds the authorities whose certificates are believed, of servers and of clients.
"""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from ridehail_kernel.tls import CA, CERTIFICATE, KEY

from .keys import KeysMissing, check_is_private
from .logs import get_logger

logger = get_logger(__name__)

# The gateway's internal listener names the certificates of its own clients in it.
FORWARDED_KEY = "x-forwarded-client-cert"
_FORWARDED_NAME = re.compile(r"(?:^|;)DNS=([A-Za-z0-9*._-]+)(?=;|$)")
# What gRPC calls the DNS names of a peer's certificate.
_PEER_NAMES = "peer_dns"


class TlsFilesBad(KeysMissing):
    """A file of the folder is missing, is not what its name says, or can be read by others."""


@dataclass(frozen=True, slots=True)
class _Content:
    authorities: bytes
    certificate: bytes
    key: bytes


class TlsFiles:
    """The files of one folder, as they are now."""

    def __init__(self, folder: Path) -> None:
        """Reads the folder; raises `TlsFilesBad` if a file cannot be used."""
        self._folder = folder
        self._lock = threading.Lock()
        self._refused: str | None = None
        self._served = self._read()

    def server_credentials(self, *, client_certificates: bool) -> grpc.ServerCredentials:
        """Returns credentials by which every new connection gets the certificate that is in the folder then.

        Clients may have to show a certificate of the authorities.
        """
        return grpc.dynamic_ssl_server_credentials(
            _configuration(self._served),
            self._renewed,  # type: ignore[arg-type]  # the stubs do not know that None means no change
            require_client_authentication=client_certificates,
        )

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """Returns credentials for channels, by the files as they were when the folder was read.

        gRPC for Python cannot renew those of an open channel.
        """
        return grpc.ssl_channel_credentials(self._served.authorities, self._served.key, self._served.certificate)

    def server_context(self) -> ssl.SSLContext:
        """Returns a context for one connection to a server that is not gRPC's; raises `TlsFilesBad`."""
        self._read()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._folder / CERTIFICATE, self._folder / KEY)
        return context

    def _renewed(self) -> grpc.ServerCertificateConfiguration | None:
        with self._lock:
            try:
                content = self._read()
            except TlsFilesBad as error:
                # Perhaps one file of two has been replaced so far.
                if str(error) != self._refused:
                    logger.error("certificate not renewed: the old one stays", reason=str(error))
                self._refused = str(error)
                return None
            self._refused = None
            if content == self._served:
                return None
            self._served = content
            logger.info("certificate renewed", folder=str(self._folder))
            return _configuration(content)

    def _read(self) -> _Content:
        try:
            check_is_private(self._folder / KEY)
            content = _Content(*((self._folder / name).read_bytes() for name in (CA, CERTIFICATE, KEY)))
        except OSError as error:
            raise TlsFilesBad(f"{error.filename} cannot be read: {error.strerror or error}") from error
        except KeysMissing as error:
            raise TlsFilesBad(str(error)) from error
        try:
            x509.load_pem_x509_certificates(content.authorities)
            certificate = x509.load_pem_x509_certificates(content.certificate)[0]
            key = serialization.load_pem_private_key(content.key, password=None)
        except Exception as error:  # the library raises what the bytes of something else make it do
            raise TlsFilesBad(f"{self._folder} holds something that is no certificate or key in PEM") from error
        if certificate.public_key() != key.public_key():
            raise TlsFilesBad(f"{self._folder / KEY} is not the key of {CERTIFICATE}")
        return content


def _configuration(content: _Content) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(content.key, content.certificate)], content.authorities)


def peer_names(
    context: grpc.aio.ServicerContext[object, object], metadata: Mapping[str, str], *, gateway: str
) -> frozenset[str]:
    """Returns the DNS names in the caller's certificate, none without one.

    The gateway, known by its name in its own certificate, is believed about the certificates of those for whom it
    calls.
    """
    names = frozenset(name.decode("utf-8", "replace") for name in context.auth_context().get(_PEER_NAMES, ()))
    if gateway in names:
        return names.union(_FORWARDED_NAME.findall(metadata.get(FORWARDED_KEY, "")))
    return names
