"""How routes follow from contracts."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from google.api import annotations_pb2
from google.protobuf.descriptor import FileDescriptor

from ridehail.orderprovider.v1 import order_provider_api_pb2
from ridehail_servers import suite
from ridehail_servers.chassis.service_definition import Contract, ServiceDefinition
from ridehail_servers.gateway.routes import (
    AuthorizerMissing,
    AuthorizerRoute,
    BindingConflict,
    HttpBinding,
    SharedContract,
    gateway_routes,
    path_template_regex,
)
from tests.support.waiting import LIMIT_S

WITHOUT_JSON = {
    "ridehail.orderprovider.v1.OrderProviderService": "two services serve it, and only their tickets tell them apart",
    "ridehail.userdata.v1.UserDataService": "every service with a database serves it, for user-data alone",
}


def test_every_method_that_the_suite_serves_can_be_called_with_json_or_says_why_not() -> None:
    contracts = {it.descriptor.full_name: it for one in suite.SERVICES.values() for it in one.contracts}
    # What only the gateway calls has no JSON.
    called = {name: it.descriptor for name, it in contracts.items() if it.gateway_deadline is None}
    unbound = {
        name
        for name, descriptor in called.items()
        for method in descriptor.methods
        if not method.GetOptions().HasExtension(annotations_pb2.http)
    }
    assert unbound == WITHOUT_JSON.keys()


def test_a_services_audience_selects_its_listener(definitions: list[ServiceDefinition]) -> None:
    routes = gateway_routes(definitions)
    assert routes.public.services == (
        "ridehail.tollroads.v1.PassengerTollRoadsService",
        "ridehail.gatewaysample.v1.PassengerSampleService",
        "ridehail.gatewaysample.v1.PassengerNewService",
    )
    assert routes.internal.services == (
        "ridehail.tollroads.v1.TollRoadsService",
        "ridehail.ordercore.v1.OrderCoreService",
    )
    # Of tests: they wait as long as a busy machine takes.
    assert routes.authorizer == AuthorizerRoute("passenger-authorizer", LIMIT_S)
    assert routes.clusters == ("order-core", "passenger-authorizer", "sample", "toll-roads")


def test_a_method_is_called_at_its_service_within_its_deadline_and_repeated_only_if_it_reads(
    definitions: list[ServiceDefinition],
) -> None:
    routes = gateway_routes(definitions)
    methods = {
        method.name.rsplit("/", 1)[1]: (method.cluster, method.timeout_s, method.retriable)
        for method in (*routes.public.methods, *routes.internal.methods)
    }
    assert methods["SaveOffer"] == ("toll-roads", 1.5, False)
    assert methods["BatchRetrieveOrders"] == ("toll-roads", 5.5, True)
    assert methods["SwitchRoad"] == ("toll-roads", 5.5, False)
    assert methods["GetThing"] == ("sample", 0.7, True)
    assert methods["ChangeThing"] == ("sample", 2.5, False)
    assert methods["SetOrderFields"] == ("order-core", 2.5, False)


def test_every_binding_of_a_method_is_a_route(definitions: list[ServiceDefinition]) -> None:
    routes = gateway_routes(definitions)
    bindings = {method.name.rsplit("/", 1)[1]: method.bindings for method in routes.public.methods}
    assert bindings["GetThing"] == (
        HttpBinding("GET", None, "/sample/v1/things/[^/]+", has_body=False),
        HttpBinding("POST", "/sample/v1/things:get", None),
    )
    assert bindings["SwitchRoad"] == (
        HttpBinding("POST", "/4.0/toll-roads/v1/order", None),
        HttpBinding("POST", "/4.0/toll_roads/v1/order", None),
    )


def test_exact_paths_are_tried_before_templates(definitions: list[ServiceDefinition]) -> None:
    exact = [binding.path is not None for binding, _method in gateway_routes(definitions).public.http_routes]
    assert exact == sorted(exact, reverse=True)
    assert set(exact) == {True, False}


@pytest.mark.parametrize(
    ("template", "matching", "others"),
    [
        ("/v1/{a}", ["/v1/x", "/v1/x.y"], ["/v1/", "/v1/x/y", "/v1x/y", "/v1/x/"]),
        ("/v1/{a.b}/c", ["/v1/x/c"], ["/v1/x/d", "/v1//c", "/v1/x/cc"]),
        ("/v1/{a=shelves/*}:lend", ["/v1/shelves/1:lend"], ["/v1/shelves/1", "/v1/other/1:lend"]),
        ("/v1/{a=**}", ["/v1/x", "/v1/x/y/z"], ["/v2/x"]),
        ("/v1.0/*", ["/v1.0/x"], ["/v1x0/x"]),
    ],
)
def test_a_path_template_matches_what_google_api_http_says(
    template: str, matching: list[str], others: list[str]
) -> None:
    regex = re.compile(path_template_regex(template))
    assert [path for path in (*matching, *others) if regex.fullmatch(path)] == matching


def test_two_methods_may_not_be_bound_to_the_same_requests(
    definitions: list[ServiceDefinition], sample: FileDescriptor
) -> None:
    *others, authorizer = definitions
    twin = sample.services_by_name["PassengerTwinService"]
    clash = replace(others[-1], name="twin", contracts=(Contract(twin, lambda *_: None),))
    with pytest.raises(BindingConflict, match="POST /sample/v1/things is bound to both"):
        gateway_routes([*others, clash, authorizer])


def test_a_contract_that_several_services_serve_has_no_route(definitions: list[ServiceDefinition]) -> None:
    provider = order_provider_api_pb2.DESCRIPTOR.services_by_name["OrderProviderService"]
    eats, grocery = (
        replace(definitions[0], name=name, contracts=(Contract(provider, lambda *_: None),))
        for name in ("eats-orders", "grocery-orders")
    )
    # One of them alone has.
    assert provider.full_name in gateway_routes([eats, *definitions]).internal.services
    assert gateway_routes([eats, *definitions, grocery]) == gateway_routes(definitions)


@pytest.mark.parametrize(
    "contract",
    ["ridehail.tollroads.v1.TollRoadsService", "ridehail.gatewaysample.v1.PassengerSampleService"],
)
def test_only_one_service_may_serve_a_contract_that_only_the_gateway_calls(
    definitions: list[ServiceDefinition], contract: str
) -> None:
    (served,) = (
        replace(one, name="twin", contracts=(it,))
        for one in definitions
        for it in one.contracts
        if it.descriptor.full_name == contract
    )
    with pytest.raises(SharedContract, match=contract):
        gateway_routes([*definitions, served])


def test_a_suite_without_an_authorizer_has_no_gateway(definitions: list[ServiceDefinition]) -> None:
    with pytest.raises(AuthorizerMissing):
        gateway_routes(definitions[:-1])
