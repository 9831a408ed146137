"""The chart's migration, a server and a worker, as their pods say, against a Postgres like CloudNativePG's."""

from __future__ import annotations

import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import psycopg
import pytest
from psycopg import conninfo, sql

from tests.deploy.chart import RELEASE, Manifest, environment, of_kind, rendered
from tests.deploy.chart_files import content_of, mount, printed_secrets
from tests.support.command_line import ridehail
from tests.support.databases import OwnPostgres
from tests.support.folders import shared_folder
from tests.support.up import RunningCommand, start
from tests.support.waiting import eventually

KIND = "small"
OWNER = "ridehail"


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """A database whose owner may make roles, and is nobody else; the URL is of the superuser."""
    with shared_folder() as folder:
        postgres = OwnPostgres(folder / "postgres", schemas=())
        try:
            with psycopg.connect(postgres.url, autocommit=True) as connection:
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEROLE").format(sql.Identifier(OWNER)))
                connection.execute(sql.SQL("CREATE DATABASE orders OWNER {}").format(sql.Identifier(OWNER)))
            yield conninfo.make_conninfo(postgres.url, dbname="orders")
        finally:
            postgres.close()


class Cluster:
    """Runs containers of the chart as processes, below a folder of their own each."""

    def __init__(self, folder: Path, database: str) -> None:
        self._folder = folder
        keys = folder / "keys"
        keys.mkdir()
        self.content = content_of(KIND, printed_secrets(keys), folder)
        parts = conninfo.conninfo_to_dict(database)
        self._url = conninfo.make_conninfo("", **{name: it for name, it in parts.items() if name != "user"})

    def command(self, name: str, pod: Manifest) -> tuple[list[str], dict[str, str]]:
        """Returns the words and the variables of a pod's container, with its files in place."""
        (container,) = pod["containers"]
        root = self._folder / name
        mount(root, pod, container, {**self.content, f"{RELEASE}-database-ca": {}})
        variables = environment(container)
        for it in container["env"]:
            reference = it.get("valueFrom", {}).get("secretKeyRef")
            if reference and reference["name"] in self.content:
                variables[it["name"]] = self.content[reference["name"]][reference["key"]].decode()
        # The authority of its certificate is the only thing that this Postgres lacks.
        del variables["PGSSLROOTCERT"]
        variables = {key: text.replace("/etc/ridehail", f"{root}/etc/ridehail") for key, text in variables.items()}
        variables["RIDEHAIL_DATABASE_URL"] = self._url
        return [word.replace("/etc/ridehail", f"{root}/etc/ridehail") for word in container["args"]], variables


@pytest.fixture(scope="module")
def cluster(database: str, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    return Cluster(tmp_path_factory.mktemp("cluster"), database)


@pytest.fixture(scope="module")
def migrated(cluster: Cluster) -> None:
    (job,) = of_kind(rendered(KIND), "Job").values()
    words, variables = cluster.command("migrate", job["spec"]["template"]["spec"])
    for _ in range(2):
        ended = ridehail(*words, environment={**variables, "PGUSER": OWNER})
        assert ended.returncode == 0, ended.stderr


@pytest.fixture(scope="module")
def running(
    cluster: Cluster, migrated: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[RunningCommand]]:
    """A server and a worker."""
    with ExitStack() as stack:
        found = []
        for name in ("toll-roads", "toll-roads-worker"):
            pod = of_kind(rendered(KIND), "Deployment")[name]["spec"]["template"]["spec"]
            words, variables = cluster.command(name, pod)
            ports = ["--metrics-port", "0", *(["--grpc-port", "0"] if words[0] == "serve" else [])]
            output = tmp_path_factory.mktemp("output") / name
            variables |= {"RIDEHAIL_HOST": "127.0.0.1", "RIDEHAIL_METRICS_HOST": "127.0.0.1"}
            found.append(start([*words, *ports], output, environment=variables))
            stack.callback(found[-1].kill)
        yield found


def probe(running: RunningCommand, path: str) -> int:
    """Returns the status of a probe by the kubelet, which takes any certificate and shows none."""
    context = ssl._create_unverified_context()
    try:
        with urllib.request.urlopen(
            f"https://{running.ready['metrics']}{path}", timeout=10, context=context
        ) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def is_ready(running: RunningCommand) -> bool:
    return probe(running, "/ready") == 200


def test_the_kubelet_sees_that_server_and_worker_live_and_are_ready(running: list[RunningCommand]) -> None:
    for one in running:
        assert probe(one, "/live") == 200
        assert eventually(partial(is_ready, one))


def test_processes_connect_as_the_role_of_their_schema(running: list[RunningCommand], database: str) -> None:
    def roles() -> set[str]:
        with psycopg.connect(database) as connection:
            rows = connection.execute(
                "SELECT DISTINCT usename FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            return {str(row[0]) for row in rows}

    assert eventually(lambda: roles() == {"ridehail_toll_roads"})


def test_the_roles_have_the_passwords_that_pods_get(cluster: Cluster, migrated: None, database: str) -> None:
    with psycopg.connect(database) as connection:
        stored: dict[str, str] = dict(
            connection.execute("SELECT rolname, rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL")
        )
    passwords = cluster.content[f"{RELEASE}-database-passwords"]
    assert stored.keys() == passwords.keys()
    assert all(verifier.startswith("SCRAM-SHA-256$") for verifier in stored.values())


def test_prometheus_trusts_the_certificate_by_the_name_that_the_monitor_states(
    running: list[RunningCommand], cluster: Cluster
) -> None:
    (endpoint,) = of_kind(rendered(KIND), "ServiceMonitor")["toll-roads"]["spec"]["endpoints"]
    authority = endpoint["tlsConfig"]["ca"]["secret"]
    context = ssl.create_default_context(cadata=cluster.content[authority["name"]][authority["key"]].decode())
    host, port = running[0].ready["metrics"].split(":")
    with (
        socket.create_connection((host, int(port)), timeout=10) as connection,
        context.wrap_socket(connection, server_hostname=endpoint["tlsConfig"]["serverName"]) as encrypted,
    ):
        assert encrypted.version() is not None
