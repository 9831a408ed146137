"""Ed25519 keys for tokens, read from files.

A key ring is a folder. `<kid>.private.pem` signs, `<kid>.public.pem` verifies; the private key whose id sorts last
signs new tokens. The keys in a folder of it, `<owner>/<kid>.public.pem`, sign for that owner only. So a rotation is:
add a key pair everywhere, wait until it is read, remove the old private key, wait until its tokens have expired, remove
its public key. No restart is needed.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from .errors import Explained
from .logs import get_logger

Key = TypeVar("Key", Ed25519PrivateKey, Ed25519PublicKey)

logger = get_logger(__name__)

_PRIVATE = ".private.pem"
_PUBLIC = ".public.pem"
# The folder is read again this often at most, and only when a token is signed or verified.
_RESCAN_S = 1.0
# A key that is added to a running process signs only after this long: by then others have read its public half.
_SETTLE_S = 2 * _RESCAN_S

GATEWAY_KEY_FILE = "gateway.key"
"""In the folder of keys: what the gateway shows the passenger authorizer, one secret a line."""

_MIN_SECRET = 16

# Whose it is, empty for the ring's own, and its id.
_Name = tuple[str, str]


class KeysMissing(Explained):
    """A folder has no key of the needed kind, or one that cannot be read."""


@dataclass(frozen=True, slots=True)
class _Loaded(Generic[Key]):
    key: Key
    digest: bytes
    signs_from: float


class KeyRing:
    def __init__(self, folder: Path, *, verifies: bool = True, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Reads the folder, which may lack private keys where tokens are only verified.

        Args:
            folder: The ring's.
            verifies: Whether tokens are verified; else it may lack public keys.
            monotonic: Returns the time in seconds; only differences count.

        Raises:
            KeysMissing: There is no public key at all, a file is not an Ed25519 key, or others may read a private one.
        """
        self._folder = folder
        self._verifies = verifies
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._running = False
        self._scanned_at = float("-inf")
        self._private: dict[_Name, _Loaded[Ed25519PrivateKey]] = {}
        self._public: dict[_Name, _Loaded[Ed25519PublicKey]] = {}
        self._refused: set[Path] = set()
        self._withdrawals = 0
        self._digest = b""
        self._rescan()
        if verifies and not self._public:
            raise KeysMissing(f"no *{_PUBLIC} in {folder}")
        self._running = True

    def signing_key(self, owner: str = "") -> tuple[str, Ed25519PrivateKey]:
        """Returns the id and the key that signs new tokens of an owner, or raises `KeysMissing`."""
        self._rescan()
        keys = {kid: loaded for (whose, kid), loaded in self._private.items() if whose == owner}
        if not keys:
            raise KeysMissing(f"no *{_PRIVATE} in {self._folder / owner}")
        now = self._monotonic()
        kid = max([kid for kid, loaded in keys.items() if loaded.signs_from <= now] or keys)
        return kid, keys[kid].key

    def public_key(self, kid: str, owner: str = "") -> Ed25519PublicKey | None:
        """Returns the owner's key with this id, or None. Neither name is trusted."""
        self._rescan()
        loaded = self._public.get((owner, kid))
        return None if loaded is None else loaded.key

    def owners(self) -> frozenset[str]:
        self._rescan()
        return frozenset(owner for owner, _kid in self._public if owner)

    def withdrawals(self) -> int:
        """Returns how often public keys were removed or replaced: what was verified before has to be verified again."""
        self._rescan()
        return self._withdrawals

    def public_digest(self) -> bytes:
        """Returns a digest of all public keys: equal in all processes that have the same ones."""
        self._rescan()
        return self._digest

    def _rescan(self) -> None:
        with self._lock:
            if self._monotonic() - self._scanned_at < _RESCAN_S:
                return
            self._scanned_at = self._monotonic()
            try:
                private = self._read(_PRIVATE, self._private, _load_private)
                public = self._read(_PUBLIC, self._public, _load_public)
            except OSError as error:
                if not self._running:
                    raise KeysMissing(f"{self._folder} cannot be read: {error.strerror or error}") from error
                logger.error("keys cannot be read: the old ones stay", folder=str(self._folder), reason=error.strerror)
                return
            if self._verifies and not public and self._running:
                # Nobody takes all keys away on purpose: the folder is out of reach for now.
                logger.error("no key to verify with: the old ones stay", folder=str(self._folder))
                return
            self._private = private
            if any(public.get(name) is not loaded for name, loaded in self._public.items()):
                self._withdrawals += 1
            self._public = public
            named = sorted((owner, kid, loaded.digest) for (owner, kid), loaded in public.items())
            self._digest = hashlib.sha256(repr(named).encode()).digest()

    def _read(
        self, suffix: str, known: Mapping[_Name, _Loaded[Key]], load: Callable[[bytes], Key]
    ) -> dict[_Name, _Loaded[Key]]:
        read: dict[_Name, _Loaded[Key]] = {}
        for owner, path in self._files(suffix):
            name = (owner, path.name.removesuffix(suffix))
            before = known.get(name)
            try:
                read[name] = self._read_key(path, before, load)
                self._refused.discard(path)
            except FileNotFoundError:
                continue  # removed just now
            except Exception as error:  # the library raises what the bytes of something that is no key make it do
                reason = str(error) if isinstance(error, KeysMissing) else f"{path} is not a readable Ed25519 key"
                if not self._running:
                    raise KeysMissing(reason) from error
                if path not in self._refused:
                    logger.error("key refused", file=str(path), reason=reason, error=type(error).__name__)
                self._refused.add(path)
                if before is not None:
                    read[name] = before
        return read

    def _files(self, suffix: str) -> Iterator[tuple[str, Path]]:
        if not self._folder.is_dir():
            return  # it does not exist, or is being replaced
        for path in sorted(self._folder.iterdir()):
            if path.name.endswith(suffix):
                yield "", path
            # Kubernetes keeps the files of a mounted folder once more in a hidden one.
            elif not path.name.startswith(".") and path.is_dir():
                yield from ((path.name, file) for file in sorted(path.iterdir()) if file.name.endswith(suffix))

    def _read_key(self, path: Path, before: _Loaded[Key] | None, load: Callable[[bytes], Key]) -> _Loaded[Key]:
        if path.name.endswith(_PRIVATE):
            check_is_private(path)
        content = path.read_bytes()
        digest = hashlib.sha256(content).digest()
        if before is not None and before.digest == digest:
            return before
        signs_from = self._monotonic() + _SETTLE_S if self._running else float("-inf")
        return _Loaded(load(content), digest, signs_from)


def check_is_private(file: Path) -> None:
    """Raises `KeysMissing` if somebody but this process' user can read a secret.

    A group may read a file of root's where the process is not root's: so Kubernetes mounts secrets (`fsGroup`).
    """
    status = file.stat()
    may = 0o640 if status.st_uid == 0 and os.geteuid() != 0 else 0o600
    mode = stat.S_IMODE(status.st_mode)
    if mode & ~may & 0o077:
        raise KeysMissing(f"{file} can be read by others (mode {mode:04o}): chmod {may:o} {file}")


def read_secret(file: Path) -> str:
    """Returns the ASCII text of a file that nobody else can read, or raises `KeysMissing`."""
    try:
        check_is_private(file)
        return file.read_text(encoding="ascii")
    except OSError as error:
        raise KeysMissing(f"{file} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise KeysMissing(f"{file} cannot be read: it is not ASCII") from error


def read_secrets(file: Path) -> list[str]:
    """Reads a file of secrets that take turns: the last one is used, all of them are accepted.

    Raises:
        KeysMissing: The file cannot be read, others can read it, or a secret is too short.
    """
    secrets = read_secret(file).split()
    if not secrets or min(map(len, secrets)) < _MIN_SECRET:
        raise KeysMissing(f"{file} must hold one secret a line, each of {_MIN_SECRET} characters or more")
    return secrets


def create_key_pair(folder: Path, kid: str) -> None:
    """Writes a new key pair into a folder, which is made where it does not exist."""
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


def _load_private(content: bytes) -> Ed25519PrivateKey:
    key = serialization.load_pem_private_key(content, password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("another kind of key")  # noqa: TRY004  # a bad file, not a bad argument
    return key


def _load_public(content: bytes) -> Ed25519PublicKey:
    key = serialization.load_pem_public_key(content)
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("another kind of key")  # noqa: TRY004  # a bad file, not a bad argument
    return key
