"""Ed25519 keys for tokens, read from files.

A key ring is a folder. `<kid>.private.pem` signs, `<kid>.public.pem` verifies; the private key whose id sorts last
signs new tokens. So a rotation is: add a key pair everywhere, wait until it is read, remove the old private key, wait until
its tokens have expired, remove its public key. No restart is needed.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_PRIVATE = ".private.pem"
_PUBLIC = ".public.pem"
# The folder is read again this often at most, and only when a token names an unknown key or a new token is signed.
_RESCAN_S = 1.0


class KeysMissing(Exception):
    """A folder has no key of the needed kind."""


class KeyRing:
    """The keys of one purpose."""

    def __init__(self, folder: Path) -> None:
        """Reads the folder.

        Args:
            folder: Holds the key files; may lack private keys where tokens are only verified.

        Raises:
            KeysMissing: There is no public key at all.
        """
        self._folder = folder
        self._lock = threading.Lock()
        self._scanned_at = float("-inf")
        self._private: dict[str, Ed25519PrivateKey] = {}
        self._public: dict[str, Ed25519PublicKey] = {}
        self._rescan()
        if not self._public:
            raise KeysMissing(f"no *{_PUBLIC} in {folder}")

    def signing_key(self) -> tuple[str, Ed25519PrivateKey]:
        """Returns the id and the key that signs new tokens.

        Raises:
            KeysMissing: The folder has no private key.
        """
        self._rescan()
        if not self._private:
            raise KeysMissing(f"no *{_PRIVATE} in {self._folder}")
        return max(self._private.items())

    def public_key(self, kid: str) -> Ed25519PublicKey | None:
        """Returns the key with this id, or None.

        Args:
            kid: As a token's header names it. Not trusted.
        """
        if kid not in self._public:
            self._rescan()
        return self._public.get(kid)

    def _rescan(self) -> None:
        with self._lock:
            if time.monotonic() - self._scanned_at < _RESCAN_S:
                return
            self._scanned_at = time.monotonic()
            self._private = {
                path.name.removesuffix(_PRIVATE): _load_private(path) for path in self._folder.glob(f"*{_PRIVATE}")
            }
            self._public = {
                path.name.removesuffix(_PUBLIC): _load_public(path) for path in self._folder.glob(f"*{_PUBLIC}")
            }


def create_key_pair(folder: Path, kid: str) -> None:
    """Writes a new key pair; the private file is readable by its owner only.

    Args:
        folder: Is made where it does not exist.
        kid: The key's id.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{kid}{_PUBLIC}").write_bytes(public)
    descriptor = os.open(folder / f"{kid}{_PRIVATE}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(private)


def _load_private(path: Path) -> Ed25519PrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise KeysMissing(f"{path} is not an Ed25519 key")
    return key


def _load_public(path: Path) -> Ed25519PublicKey:
    key = serialization.load_pem_public_key(path.read_bytes())
    if not isinstance(key, Ed25519PublicKey):
        raise KeysMissing(f"{path} is not an Ed25519 key")
    return key
