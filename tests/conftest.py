"""Fixtures of every test: a fresh database, keys, configuration, a running suite."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest

from ridehail_servers import resources, suite
from ridehail_servers.passenger_authorizer import definition as authorizer_definition
from ridehail_servers.runtime.data_dir import DataDir
from tests.clients.flavours import ASYNCIO, BLOCKING, Flavour
from tests.support import grpcurl
from tests.support.config_edits import lenient_config
from tests.support.databases import cloned_database, empty_tables
from tests.support.folders import shared_folder
from tests.support.log_capture import LogCapture, captured_logs
from tests.support.recorded_suite import RecordedSuite
from tests.support.recorded_suite import recorded_suite as serve_recorded
from tests.support.redis_server import RedisServer, is_installed, redis_server
from tests.support.shared_postgres import SHARED, TEMPLATE, SharedPostgres
from tests.support.suite_in_process import SuiteInProcess, suite_in_process
from tests.support.waiting import LIMIT_S

pytest_plugins = ("tests.support.levels", "tests.support.costs", "tests.support.hangs", "tests.support.garbage")

FOLDER = pytest.StashKey[Path]()

# How long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")

# Who is started in the background by a shell ignores Ctrl-C, and so would the commands that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests call this machine by many libraries, some of which would ask the environment's proxy to.
os.environ["no_proxy"] = os.environ["NO_PROXY"] = "localhost,127.0.0.1"


# The gateway waits as long as a busy machine takes to verify a session.
vars(authorizer_definition)["DEADLINE_S"] = LIMIT_S

# Where nothing that is compiled is kept, each process that a test starts compiles all sources anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture(autouse=True)
def log() -> Iterator[LogCapture]:
    """All that is logged during the test, as in production."""
    with captured_logs() as capture:
        yield capture


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Prepares the folder and the Postgres that all processes of the run share, and ends both with it."""
    of_worker = getattr(config, "workerinput", None)
    if of_worker is not None:
        config.stash[SHARED] = SharedPostgres(Path(of_worker["shared_folder"]))
        return
    stack = ExitStack()
    config.add_cleanup(stack.close)
    config.stash[FOLDER] = stack.enter_context(shared_folder())
    # Another run that begins meanwhile would close pytest's own folder to the users that Postgres runs as.
    config.option.basetemp = config.option.basetemp or config.stash[FOLDER] / "tmp"
    config.stash[SHARED] = SharedPostgres(config.stash[FOLDER])
    stack.callback(config.stash[SHARED].stop)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:  # pytest-xdist's, which has no types for it
    """Passes the shared folder to a process of the run."""
    node.workerinput["shared_folder"] = str(node.config.stash[FOLDER])


@pytest.fixture(scope="session")
def sockets() -> None:
    """Used by every fixture that opens a socket or starts a process: no unit test uses it."""


@pytest.fixture(scope="session")
def postgres_url(sockets: None, pytestconfig: pytest.Config) -> str:
    """A real Postgres for the whole run, whose template database has every migration."""
    return pytestconfig.stash[SHARED].url()


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    """A database for one test, with every migration."""
    with cloned_database(postgres_url, TEMPLATE) as url:
        yield url


@pytest.fixture(scope="session")
def running_redis(sockets: None) -> Iterator[RedisServer]:
    """A real Redis for the whole session; skips tests where none is installed."""
    if not is_installed():
        pytest.skip("Debian's redis-server is not installed")
    with shared_folder() as folder, redis_server(folder) as server:
        yield server


@pytest.fixture
def redis(running_redis: RedisServer) -> RedisServer:
    """A real, empty Redis."""
    running_redis.client.flushall()
    return running_redis


@pytest.fixture(scope="session")
def grpcurl_if_any(sockets: None) -> grpcurl.Grpcurl | None:
    """The real grpcurl, where it can be built."""
    return grpcurl.build(Path(__file__).parents[1] / "build" / "tools")


@pytest.fixture
def grpcurl_program(grpcurl_if_any: grpcurl.Grpcurl | None) -> grpcurl.Grpcurl:
    """The real grpcurl; skips the test without it."""
    if grpcurl_if_any is None:
        pytest.skip("grpcurl is built from source, and Go is not on this machine")
    return grpcurl_if_any


@pytest.fixture(scope="session")
def keys_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = DataDir(tmp_path_factory.mktemp("data"))
    data.ensure_keys(suite.ticket_sources(resources.folder("config")))
    return data.keys


@pytest.fixture(scope="session")
def lenient_config_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lenient_config(tmp_path_factory.mktemp("patient") / "config")


@pytest.fixture
def config_dir(tmp_path: Path, lenient_config_dir: Path) -> Path:
    """A copy of the shipped configuration without the limits that a busy machine breaks, for the test to edit."""
    return Path(shutil.copytree(lenient_config_dir, tmp_path / "config"))


@pytest.fixture(scope="module")
def module_config_dir(tmp_path_factory: pytest.TempPathFactory, lenient_config_dir: Path) -> Path:
    """The same, for the tests of a module."""
    return Path(shutil.copytree(lenient_config_dir, tmp_path_factory.mktemp("module") / "config"))


@pytest.fixture(scope="module")
def module_database_url(postgres_url: str) -> Iterator[str]:
    """A database for the tests of a module, with every migration; `empty_tables` makes it as new."""
    with cloned_database(postgres_url, TEMPLATE) as url:
        yield url


@pytest.fixture
def reused_database_url(module_database_url: str) -> str:
    """The module's database without any row or session, for tests that leave its schema as it is."""
    with psycopg.connect(module_database_url, autocommit=True) as connection:
        # Of an earlier test that broke its connections some may still hold locks.
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        empty_tables(connection)
    return module_database_url


@pytest.fixture(scope="module")
def module_services() -> Sequence[str]:
    """What `module_suite` serves: everything, unless a module or a folder overrides this fixture."""
    return tuple(suite.SERVICES)


@pytest.fixture(scope="module")
async def module_suite(
    module_database_url: str, keys_dir: Path, module_config_dir: Path, module_services: Sequence[str]
) -> AsyncIterator[SuiteInProcess]:
    async with suite_in_process(
        database_url=module_database_url, keys_dir=keys_dir, config_dir=module_config_dir, services=module_services
    ) as running:
        yield running


@pytest.fixture
async def own_suite(database_url: str, keys_dir: Path, config_dir: Path) -> AsyncIterator[SuiteInProcess]:
    """toll_roads and order_core for one test, which may leave their tables broken."""
    services = ("toll-roads", "order-core")
    async with suite_in_process(
        database_url=database_url, keys_dir=keys_dir, config_dir=config_dir, services=services
    ) as running:
        yield running


@pytest.fixture
async def running_suite(module_suite: SuiteInProcess) -> SuiteInProcess:
    """The services of `module_suite`, with nothing stored."""
    await module_suite.empty_tables()
    return module_suite


@pytest.fixture(scope="module")
async def module_recorded_suite(sockets: None, keys_dir: Path, module_config_dir: Path) -> AsyncIterator[RecordedSuite]:
    """Every service, with handlers that only record that they were reached."""
    async with serve_recorded(keys_dir=keys_dir, config_dir=module_config_dir) as running:
        yield running


@pytest.fixture
async def recorded_suite(module_recorded_suite: RecordedSuite) -> RecordedSuite:
    """The same, with no handler reached yet."""
    module_recorded_suite.reached.clear()
    return module_recorded_suite


@pytest.fixture(params=[ASYNCIO, BLOCKING], ids=lambda flavour: flavour.name)
def flavour(request: pytest.FixtureRequest) -> Flavour:
    """Both flavours of the client library, one after the other."""
    chosen: Flavour = request.param
    return chosen
