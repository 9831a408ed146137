"""The page at `/docs` of each listener: its API, to read and to try, by Scalar of a package."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ridehail_servers import resources

_PACKAGE: Final = "flask_openapi_scalar"
_PAGE: Final = ("index.html", "page.css", "page.js")
_SCALAR: Final = "scalar.standalone.js"
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
}
# Of one file, for Envoy; Scalar's script has 4.9 MB.
MAX_FILE_BYTES: Final = 16 * 1024 * 1024
_HEADERS: Final = {
    # The page calls the listener that it comes from, and nobody else. Scalar sets styles by itself.
    "content-security-policy": (
        "default-src 'none'; connect-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class Page:
    """A file of the page: the path at which a listener serves it, and its name."""

    path: str
    file: str

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the response."""
        return {"content-type": _TYPES[Path(self.file).suffix], **_HEADERS}


def pages(listener: str) -> list[Page]:
    """Returns what a listener serves."""
    paths = {"index.html": "/docs", f"{listener}.json": "/docs/openapi.json"}
    files = (*_PAGE, _SCALAR, f"{listener}.json")
    return [Page(paths.get(file, f"/docs/{file}"), file) for file in files]


def write(folder: Path) -> bool:
    """Writes the files of both listeners, for Envoy, if Scalar is installed, and returns whether it is."""
    package = importlib.util.find_spec(_PACKAGE)
    if package is None or not package.submodule_search_locations:
        return False
    scalar = Path(package.submodule_search_locations[0], "templates", "scalar", "js", _SCALAR)
    folder.mkdir(parents=True, exist_ok=True)
    own = resources.folder("deploy") / "api"
    for source in (scalar, *(own / name for name in _PAGE), *own.glob("*.json")):
        shutil.copyfile(source, folder / source.name)
    return True
