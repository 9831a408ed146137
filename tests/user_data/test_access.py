"""Only the jobs reach users' data, only an admin the jobs, and nobody either of them by the public listener."""

from __future__ import annotations

import pytest

from ridehail_clients import CallerNotAllowed
from ridehail_servers import resources, suite
from ridehail_servers.chassis.access import AccessPolicy
from ridehail_servers.chassis.config import load
from ridehail_servers.gateway.routes import gateway_routes
from tests.support.calls import call, rpcs
from tests.support.suite_in_process import SuiteInProcess

ALLOWED = {"UserDataService": "user-data", "UserDataJobsService": "admin"}
RPCS = [one for one in rpcs() if one.method.containing_service.name in ALLOWED]
CALLERS = load(resources.folder("config") / "access.yaml", AccessPolicy).callers


async def test_every_other_caller_is_refused(module_suite: SuiteInProcess) -> None:
    async with module_suite.channel() as channel:
        for rpc in RPCS:
            others = CALLERS - {ALLOWED[rpc.method.containing_service.name]}
            assert len(others) > 10
            for source in sorted(others):
                with pytest.raises(CallerNotAllowed):
                    await call(channel, rpc.path, metadata=module_suite.metadata(source, rpc.service))


def test_the_public_listener_has_no_way_to_users_data() -> None:
    routes = gateway_routes(suite.SERVICES.values())
    assert not {name for name in routes.public.services if "userdata" in name}
    assert {name for name in routes.internal.services if "userdata" in name} == {
        "ridehail.userdata.v1.UserDataJobsService"
    }
