"""A running suite serves what the documents of its API describe."""

from __future__ import annotations

import http.client
import json
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from ridehail_servers.gateway import api_docs
from tests.support.described_api import DescribedApi, document, strict
from tests.support.up import RunningCommand
from tests.support.waiting import LIMIT_S

LISTENERS = {"public": "http", "internal": "internal_http"}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# Of each kind to each operation: requests that keep the rules, and requests that break one.
FEW, MANY = 1, 100


def operations(listener: str) -> list[str]:
    return [f"{verb.upper()} {path}" for path, verbs in document(listener)["paths"].items() for verb in verbs]


@pytest.fixture(scope="module", params=LISTENERS)
def api(request: pytest.FixtureRequest, demo_suite: RunningCommand) -> DescribedApi:
    return DescribedApi(request.param, demo_suite.ready[LISTENERS[request.param]], demo_suite.data_dir / "keys")


def test_a_listener_serves_its_page_to_everybody(api: DescribedApi) -> None:
    connection = http.client.HTTPConnection(api.address, timeout=LIMIT_S)
    for page in api_docs.pages(api.listener):
        connection.request("GET", f"{page.path}?a=b")
        response = connection.getresponse()
        assert len(response.read()) > 0
        assert (response.status, response.headers["content-type"]) == (200, page.headers["content-type"])
        assert "default-src 'none'" in response.headers["content-security-policy"]
    connection.request("GET", "/docs/openapi.json")
    assert json.loads(connection.getresponse().read()) == document(api.listener)
    for verb, path in (("POST", "/docs"), ("GET", "/docs/"), ("GET", "/docs/../docs/public.json")):
        connection.request(verb, path)
        response = connection.getresponse()
        assert (response.status, json.loads(response.read())["code"]) == (404, 5)
    connection.close()


def shape(value: object) -> object:
    """Returns the members of JSON and their types: what does not change with the data."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    return shape(value[0]) if isinstance(value, list) and value else type(value)


def test_examples_are_answered_as_they_say(api: DescribedApi) -> None:
    wrong = {}
    for identity, example in api.examples():
        status, body = api.call(identity, example)
        if "fails" in example:
            expected: object = example["fails"]
            found: object = next((one["reason"] for one in body["details"] if "reason" in one), body)
        else:
            expected, found = (200, shape(example["response"])), (status, shape(body))
        if found != expected:
            wrong[identity] = (expected, found, body)
    assert wrong == {}


def conforms(api: DescribedApi, *, requests: int) -> None:
    """Calls every operation with requests that are made of its schema: valid ones, and some that break a rule.

    Raises:
        ExceptionGroup: Responses that the document does not describe.
    """
    described = schemathesis.openapi.from_dict(strict(document(api.listener)))
    found: list[Exception] = []
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        for result in described.get_all_operations():
            assert isinstance(result, Ok)
            operation = result.ok()
            if requests == FEW and operation.definition.raw["operationId"][-1].isdigit():
                continue  # the same by another path
            try:
                call_with_generated(api, operation, mode, requests)
            except hypothesis.errors.Unsatisfiable:
                continue  # a request without fields has no way to break a rule
            except Exception as error:
                found.append(error)
    if found:
        raise ExceptionGroup(f"{len(found)} operations answer otherwise than described", found)


def call_with_generated(api: DescribedApi, operation: Any, mode: GenerationMode, requests: int) -> None:
    headers = api.credentials(operation.definition.raw["operationId"], operation.tags[0])

    @settings(
        max_examples=requests,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def call(case: Any) -> None:
        case.headers.update(headers)
        case.validate_response(case.call(base_url=f"http://{api.address}"), checks=CHECKS)

    call()


def test_responses_are_as_described(api: DescribedApi) -> None:
    conforms(api, requests=FEW)


@pytest.mark.long
def test_responses_are_as_described_for_many_requests(api: DescribedApi) -> None:
    conforms(api, requests=MANY)
