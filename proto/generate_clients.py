"""Generates from the contracts: the client library, checks and errors of servers, and the API that the gateway serves.

Run by `make proto`, after `generate.py`, whose descriptor set with comments it reads. Types and defaults come from
fields and their rules, docstrings from comments, and what neither says from the options of
`ridehail/common/v1/options.proto`. With `--check` it writes nothing, and exits with 1 when what is checked in is not
what it would write.
"""

from __future__ import annotations

import argparse
import configparser
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import yaml
from client_contracts import Contracts
from client_text import paragraphs, wrapped
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from openapi import documents
from quick_checks import QuickChecks

ROOT: Final = Path(__file__).parents[1]
LIBRARY: Final = Path("clients/ridehail_clients")
CLIENTS: Final = LIBRARY / "_async" / "generated"
SERVER_ERRORS: Final = Path("servers/ridehail_servers/chassis/error_catalogue.py")
SERVER_CHECKS: Final = Path("servers/ridehail_servers/chassis/quick_checks.py")
ERROR_PAGE: Final = Path("docs/errors.md")
EXAMPLES: Final = Path("proto/examples.yaml")
API: Final = Path("deploy/api")
ERROR_TABLE: Final = "| reason | gRPC code | HTTP | metadata | what to do |\n|---|---|---|---|---|\n"
RUFF: Final = ("--isolated", "--quiet", "--target-version", "py311", "--line-length", "120")
SORTED: Final = (
    "lint.isort={known-first-party=['ridehail','ridehail_clients','ridehail_kernel'],split-on-trailing-comma=false}"
)


def main() -> None:
    """Generates, or checks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", type=Path, help="descriptor set with comments, of `generate.py --image`")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when out of date")
    arguments = parser.parse_args()
    files = generate(FileDescriptorSet.FromString(arguments.image.read_bytes()))
    left_over = {path.relative_to(ROOT) for path in (ROOT / CLIENTS).glob("*.py")} - files.keys()
    if arguments.check:
        stale = {
            path for path, text in files.items() if not (ROOT / path).exists() or (ROOT / path).read_text() != text
        }
        if stale | left_over:
            sys.exit(f"out of date: {', '.join(sorted(map(str, stale | left_over)))}; run make proto")
        return
    for path in left_over:
        (ROOT / path).unlink()
    for path, text in files.items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text)


def generate(image: FileDescriptorSet) -> dict[Path, str]:
    """Returns the text of every file, by its path in the repository."""
    contracts = Contracts(image)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701  # what is written is Python
    )
    template = environment.get_template("clients.py.j2")
    said = {"contracts": contracts, "paragraphs": paragraphs, "wrapped": wrapped}
    files = {
        SERVER_ERRORS: template.render(part="server errors", **said),
        SERVER_CHECKS: "".join(QuickChecks(image).module()),
        LIBRARY / "errors.py": template.render(part="errors", **said),
        LIBRARY / "models.py": template.render(part="models", **said),
        CLIENTS / "__init__.py": template.render(part="package", **said),
    }
    for package, services in contracts.services.items():
        files[CLIENTS / f"{package}.py"] = template.render(part="clients", services=services, **said)
    rows = "".join(f"{one.row}\n" for one in contracts.reasons)
    page = (ROOT / ERROR_PAGE).read_text()
    table = re.sub(re.escape(ERROR_TABLE) + r"(?:\|.*\n)*", lambda _: ERROR_TABLE + rows, page)
    return {**formatted(files), ERROR_PAGE: table, **api(contracts)}


def api(contracts: Contracts) -> dict[Path, str]:
    """Returns the OpenAPI document of each listener."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    examples = yaml.safe_load((ROOT / EXAMPLES).read_text())
    texts = documents(contracts, setup["metadata"]["version"], examples)
    return {API / f"{listener}.json": text for listener, text in texts.items()}


def formatted(files: dict[Path, str]) -> dict[Path, str]:
    """Returns the modules in the house's format, without the imports that they do not need."""
    with tempfile.TemporaryDirectory() as folder:
        places = {path: Path(folder, str(number), path.name) for number, path in enumerate(files)}
        for path, place in places.items():
            place.parent.mkdir()
            place.write_text(files[path])
        ruff = Path(sys.executable).parent / "ruff"
        subprocess.run([ruff, "check", *RUFF, "--fix", "--select", "F401,I", "--config", SORTED, folder], check=True)
        subprocess.run([ruff, "format", *RUFF, "--config", "format.skip-magic-trailing-comma=true", folder], check=True)
        return {path: place.read_text() for path, place in places.items()}


if __name__ == "__main__":
    main()
