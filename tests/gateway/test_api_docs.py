"""The API that the gateway describes is the one that it serves."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator

from ridehail_servers import suite
from ridehail_servers.gateway import api_docs
from ridehail_servers.gateway.routes import gateway_routes
from tests.support.described_api import document
from tests.support.error_catalogue import catalogue

ROOT = Path(__file__).parents[2]
LISTENERS = ("public", "internal")
pytestmark = pytest.mark.unit


def operations(listener: str) -> dict[tuple[str, str], dict[str, Any]]:
    paths = document(listener)["paths"]
    return {(verb.upper(), path): one for path, verbs in paths.items() for verb, one in verbs.items()}


@pytest.mark.parametrize("listener", LISTENERS)
def test_the_document_is_openapi(listener: str) -> None:
    assert [str(error) for error in OpenAPIV31SpecValidator(document(listener)).iter_errors()] == []


@pytest.mark.parametrize("listener", LISTENERS)
def test_it_has_every_route_of_its_listener_and_no_other(listener: str) -> None:
    routes = getattr(gateway_routes(suite.SERVICES.values()), listener)
    served = {(binding.verb, binding.path or binding.path_regex): method.name for binding, method in routes.http_routes}
    described = {
        (verb, re.sub(r"\{\w+\}", "[^/]+", path)): one["operationId"]
        for (verb, path), one in operations(listener).items()
    }
    assert described.keys() == served.keys()
    assert all(served[key].split(".")[-1].replace("/", ".") == re.sub(r"\d$", "", described[key]) for key in served)


@pytest.mark.parametrize("listener", LISTENERS)
def test_every_call_has_an_example(listener: str) -> None:
    for one in operations(listener).values():
        shown = json.dumps([one.get("requestBody"), one.get("parameters")])
        assert '"example"' in shown or not one.get("requestBody")
        response = one["responses"]["200"]["content"]["application/json"]
        examples = yaml.safe_load((ROOT / "proto/examples.yaml").read_text())
        assert ("example" in response) != ("fails" in examples[one["operationId"].rstrip("0123456789")])


@pytest.mark.parametrize("listener", LISTENERS)
def test_every_call_needs_credentials(listener: str) -> None:
    schemes = document(listener)["components"]["securitySchemes"]
    for one in operations(listener).values():
        (needed,) = one["security"]
        assert needed.keys() <= schemes.keys()
        assert listener == "public" or list(needed) == one["tags"]


def test_every_status_of_the_gateway_is_described() -> None:
    template = (ROOT / "deploy/envoy_replies.yaml.j2").read_text()
    own = set(re.findall(r"^  \((\d{3}), \d+, \d+,", template, re.M)) | {"401", "429"}
    for listener in LISTENERS:
        assert all(own <= one["responses"].keys() for one in operations(listener).values())


def test_a_reason_stands_under_its_status_and_with_its_metadata() -> None:
    reasons = catalogue()
    for listener in LISTENERS:
        schemas = document(listener)["components"]["schemas"]
        for one in operations(listener).values():
            for status, response in one["responses"].items():
                named = re.findall(r"ErrorInfo\.([A-Z_]+)", json.dumps(response))
                assert all(str(reasons[reason].http_status) == status for reason in named)
        for name in filter(lambda it: it.startswith("ErrorInfo."), schemas):
            metadata = schemas[name]["properties"]["metadata"]
            assert set(metadata.get("required", ())) == set(reasons[name.partition(".")[2]].metadata_keys)


def test_rules_of_fields_are_limits_of_json_schema() -> None:
    schemas = document("internal")["components"]["schemas"]
    check = schemas["eulas.CheckEulasRequest.Input"]
    assert check["required"] == ["yandex_uid"]
    uid, ids = (check["properties"][name] for name in ("yandex_uid", "eula_ids"))
    assert (uid["minLength"], uid["maxLength"], ids["maxItems"], ids["items"]["maxLength"]) == (1, 128, 100, 128)
    assert re.fullmatch(uid["pattern"], "Анна 4")
    assert not re.search(uid["pattern"], "two\nlines")
    assert schemas["eulas.ListEulasRequest.Input"]["properties"]["filter"]["enum"][0] == "unknown"
    page = schemas["user_state.ListPersonalStatesRequest.Input"]["properties"]["page_size"]
    assert (page["minimum"], page["maximum"]) == (1, 1000)


def test_the_page_is_written_for_both_listeners(tmp_path: Path) -> None:
    assert api_docs.write(tmp_path)
    for listener in LISTENERS:
        pages = api_docs.pages(listener)
        assert [one.path for one in pages if one.file == f"{listener}.json"] == ["/docs/openapi.json"]
        assert all(0 < (tmp_path / one.file).stat().st_size < api_docs.MAX_FILE_BYTES for one in pages)
    # Whatever the page loads, a listener serves.
    paths = {one.path for one in api_docs.pages("public")}
    texts = "".join((tmp_path / name).read_text() for name in ("index.html", "page.js"))
    assert set(re.findall(r"\"(/docs/[^\"]+)\"", texts)) <= paths
