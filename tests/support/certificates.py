"""Certificates of an authority that exists for one test."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import trustme

from ridehail_servers.runtime.data_dir import write_secret
from tests.support.waiting import LIMIT_S


class Authority:
    """Issues certificates into folders below `root`, as a renewal agent does."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.ca = trustme.CA()

    def folder(self, owner: str, *names: str) -> Path:
        """Creates the folder of an owner with a certificate for the names; returns it."""
        folder = self._root / owner
        folder.mkdir()
        self.ca.cert_pem.write_to_path(folder / "ca.pem")
        self.renew(folder, *names)
        return folder

    def renew(self, folder: Path, *names: str, only_certificate: bool = False) -> bytes:
        """Replaces certificate and key, one after the other; returns the certificate as DER."""
        issued = self.ca.issue_cert(*names)
        pem = issued.cert_chain_pems[0].bytes()
        files = {"cert.pem": pem, "key.pem": issued.private_key_pem.bytes()}
        if only_certificate:
            del files["key.pem"]
        for name, content in files.items():
            new = folder / f"{name}.new"
            write_secret(new, content.decode())
            new.rename(folder / name)
        return ssl.PEM_cert_to_DER_cert(pem.decode())


def client_context(folder: Path, *, own: bool = True) -> ssl.SSLContext:
    """Returns a client's context that trusts the folder's authority, with or without its own certificate."""
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    context.check_hostname = False
    context.set_alpn_protocols(["h2"])
    if own:
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def shown(port: int, context: ssl.SSLContext) -> bytes:
    """Returns the certificate that a local port presents to a new connection, as DER."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as connection,
        context.wrap_socket(connection) as encrypted,
    ):
        certificate = encrypted.getpeercert(binary_form=True)
        assert certificate is not None
        return certificate
