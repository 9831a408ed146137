"""Keys as Secrets of Kubernetes, divided so that each pod gets the private keys of its own service only."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from .key_files import ring_folders


def key_secrets(
    keys: Path, sources: Iterable[str], secret_files: Iterable[str], *, prefix: str
) -> Iterator[dict[str, Any]]:  # what YAML can hold
    """Yields the Secrets of what is in a key folder.

    A ring becomes PREFIX-RING, its private keys, and PREFIX-RING-public; `gateway.key` becomes PREFIX-gateway-key. The
    names of files stay, since who mounts a Secret sees them.
    """
    for name, ring in ring_folders(keys, sources).items():
        for kind, suffix in (("private", ""), ("public", "-public")):
            if files := sorted(ring.folder.glob(f"*.{kind}.pem")):
                yield _secret(f"{prefix}-{name}{suffix}", files)
    for file in (keys / name for name in secret_files):
        if file.is_file():
            yield _secret(f"{prefix}-{file.name.replace('.', '-')}", [file])


def _secret(name: str, files: Iterable[Path]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/part-of": "ridehail"}},
        "type": "Opaque",
        "data": {file.name: base64.b64encode(file.read_bytes()).decode() for file in files},
    }
