"""The key folder: making keys, rotating them, and what is there.

A ring's new private key signs at once, so a server that reads the folder must have read the public one before. Where
folders are copied to machines one by one, the public halves go first.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ridehail_servers.chassis.errors import Explained
from ridehail_servers.chassis.keys import KeysMissing, check_is_private, create_key_pair, read_secrets

from .data_dir import write_secret

SESSIONS = "sessions"
TICKETS = "tickets"
_PRIVATE, _PUBLIC = ".private.pem", ".public.pem"
_FIRST = 2  # pairs of a new ring: so rotation is nothing new


class NoSuchRing(Explained):
    """A ring that is to be rotated is not there."""


@dataclass(frozen=True, slots=True)
class Ring:
    """The key pairs of one owner: of a ticket source, or of the sessions."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    def ids(self, suffix: str = _PUBLIC) -> list[str]:
        if not self.folder.is_dir():
            return []
        return sorted(file.name.removesuffix(suffix) for file in self.folder.iterdir() if file.name.endswith(suffix))

    def since(self, kid: str) -> datetime:
        """Returns when a public key was written."""
        return datetime.fromtimestamp((self.folder / f"{kid}{_PUBLIC}").stat().st_mtime, UTC)


@dataclass(frozen=True, slots=True)
class KeyFile:
    """What `ridehail keys show` says of a key.

    Attributes:
        ring: `tickets/eulas`, `sessions`, or empty for a secret.
        key: The id of a pair, or the name of a secret's file.
        use: "signs", "can sign" (a pair that is not the latest), "verifies", "secret", or "missing".
        since: When it was written, or empty.
        fingerprint: SHA-256 of a public key's file, its first 16 digits.
        problem: Why it is of no use, or empty.
    """

    ring: str
    key: str
    use: str
    since: str = ""
    fingerprint: str = ""
    problem: str = ""


def ring_folders(keys: Path, sources: Iterable[str]) -> dict[str, Ring]:
    """Returns the rings that a suite needs, by the names that users give them."""
    return {**{name: Ring(keys / TICKETS / name) for name in sorted(sources)}, SESSIONS: Ring(keys / SESSIONS)}


def create_missing(keys: Path, sources: Iterable[str], secret_files: Iterable[str]) -> list[Path]:
    """Makes what a key folder lacks, and changes nothing that is there; returns the public keys and secrets made."""
    made: list[Path] = []
    for name, ring in ring_folders(keys, sources).items():
        if not ring.ids():
            for number in range(1, _FIRST + 1):
                create_key_pair(ring.folder, f"{name}-{number}")
                made.append(ring.folder / f"{name}-{number}{_PUBLIC}")
    for name in secret_files:
        if not (keys / name).exists():
            write_secret(keys / name, secrets.token_urlsafe(32))
            made.append(keys / name)
    return made


def rotate(ring: Ring) -> Path:
    """Adds a pair that signs from now on; returns its public key. The others verify on."""
    known = ring.ids()
    if not known:
        raise NoSuchRing(f"no keys in {ring.folder}: `ridehail keys create` makes them")
    kid = next_id(max(known))
    create_key_pair(ring.folder, kid)
    return ring.folder / f"{kid}{_PUBLIC}"


def add_secret(file: Path) -> None:
    """Adds a secret that is used from the next start on; the others are accepted on.

    Raises:
        KeysMissing: The file cannot be read.
    """
    _replace_secrets(file, [*read_secrets(file), secrets.token_urlsafe(32)])


def drop_old_secrets(file: Path) -> bool:
    """Removes all secrets but the one that is used; returns whether there were others."""
    *others, used = read_secrets(file)
    if others:
        _replace_secrets(file, [used])
    return bool(others)


def _replace_secrets(file: Path, lines: Iterable[str]) -> None:
    """Replaces a file as a whole: a process that starts meanwhile reads the old one or the new one."""
    new = file.with_name(f".{file.name}.new")
    write_secret(new, "".join(f"{line}\n" for line in lines))
    new.replace(file)


def next_id(latest: str) -> str:
    """Returns an id that sorts after the latest one: by text, as a ring chooses who signs."""
    found = re.fullmatch(r"(.*?)(\d+)", latest)
    following = f"{found[1]}{int(found[2]) + 1:0{len(found[2])}}" if found else f"{latest}-1"
    return following if following > latest else f"{latest}-1"


def retire(ring: Ring, life: timedelta) -> list[Path]:
    """Removes what a rotation has left behind; returns the removed files.

    Args:
        ring: Whose keys.
        life: The longest that a token is valid: this long after a later key began to sign, a public key is of no use.
    """
    known = ring.ids()
    removed = [ring.folder / f"{kid}{_PRIVATE}" for kid in ring.ids(_PRIVATE) if kid < max(known)]
    if known and time.time() - ring.since(known[-1]).timestamp() > life.total_seconds():
        removed += [ring.folder / f"{kid}{_PUBLIC}" for kid in known[:-1]]
    for file in removed:
        file.unlink()
    return removed


def listed(keys: Path, sources: Iterable[str], secret_files: Iterable[str]) -> list[KeyFile]:
    """Returns what is in a key folder, and what is missing there."""
    found: list[KeyFile] = []
    for ring in ring_folders(keys, sources).values():
        where = str(ring.folder.relative_to(keys))
        known, private = ring.ids(), ring.ids(_PRIVATE)
        found += [_of_ring(ring, where, kid, private) for kid in known]
        if not known:
            found.append(KeyFile(where, "", "missing", problem="no public key"))
    for name in secret_files:
        file = keys / name
        if file.exists():
            since = datetime.fromtimestamp(file.stat().st_mtime, UTC)
            found.append(KeyFile("", name, "secret", _text(since), problem=_exposure(file)))
        else:
            found.append(KeyFile("", name, "missing", problem="no such file"))
    return found


def as_json(found: Iterable[KeyFile]) -> list[dict[str, str]]:
    return [asdict(one) for one in found]


def _of_ring(ring: Ring, where: str, kid: str, private: list[str]) -> KeyFile:
    use = "verifies" if kid not in private else "signs" if kid == max(private) else "can sign"
    fingerprint = hashlib.sha256((ring.folder / f"{kid}{_PUBLIC}").read_bytes()).hexdigest()[:16]
    problem = _exposure(ring.folder / f"{kid}{_PRIVATE}") if kid in private else ""
    return KeyFile(where, kid, use, _text(ring.since(kid)), fingerprint, problem)


def _exposure(file: Path) -> str:
    try:
        check_is_private(file)
    except KeysMissing as error:
        return str(error)
    return ""


def _text(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
