"""Every pod of the chart has what its process needs to start, by its own checks, and no more secrets than that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ridehail_servers import suite
from ridehail_servers.chassis.settings import ProcessSettings
from ridehail_servers.cli import app
from ridehail_servers.command_line import options
from ridehail_servers.gateway.configuration import default_descriptor_set
from ridehail_servers.gateway.envoy_program import validate
from ridehail_servers.runtime.preflight import problems
from tests.deploy.chart import KINDS, RELEASE, SUITE, Manifest, containers, environment, of_kind, pods, rendered
from tests.deploy.chart_files import content_of, mount, own_pods, printed_secrets

PLACE = "/etc/ridehail"
of_every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    return printed_secrets(tmp_path_factory.mktemp("keys"))


def key_secrets_of(pod: Manifest) -> Iterator[str]:
    for volume in pod["volumes"]:
        if volume["name"] == "tls":
            continue
        if "secret" in volume:
            yield volume["secret"]["secretName"]
        for source in volume.get("projected", {}).get("sources", ()):
            yield source["secret"]["name"]


@pytest.mark.parametrize("kind", ["default", "dev", "elsewhere"])
def test_every_process_finds_its_configuration_keys_certificate_and_addresses(
    kind: str, secrets: dict[str, dict[str, bytes]], tmp_path: Path
) -> None:
    content = content_of(kind, secrets, tmp_path)
    checked = 0
    for number, (service, pod, container) in enumerate(own_pods(kind)):
        root = tmp_path / str(number)
        mount(root, pod, container, content)
        command, name, _workers, processes = container["args"]
        assert name == service
        variables = environment(container)
        names = {it["name"] for it in container["env"]}
        here = {key: root / variables[key].removeprefix("/") for key in variables if key.endswith("_DIR")}
        settings = ProcessSettings(
            services=(service,),
            config_dir=here["RIDEHAIL_CONFIG_DIR"],
            keys_dir=here["RIDEHAIL_KEYS_DIR"],
            tls_dir=here.get("RIDEHAIL_TLS_DIR"),
            addresses=options.addresses([service], variables.get("RIDEHAIL_ADDRESSES", "").split()),
            database_urls=options.database_urls([service], variables.get("RIDEHAIL_DATABASE_URL"), {}),
        )
        assert problems([suite.SERVICES[service]], settings) == []
        if command == "serve" and suite.SERVICES[service].needs_cache:
            assert "RIDEHAIL_CACHE_URL" in names
        assert int(processes) >= 1
        assert {"PGUSER", "PGPASSWORD"} <= names or suite.SERVICES[service].schema is None
        checked += 1
    assert checked == len(list(own_pods(kind))) > 15


@of_every_kind
def test_a_pod_gets_no_private_key_but_its_services_own(kind: str, secrets: dict[str, dict[str, bytes]]) -> None:
    for service, pod, _container in own_pods(kind):
        needed = {f"ridehail-keys-{source}" for source in SUITE["services"][service]["signsAs"]}
        private = {
            name for name in key_secrets_of(pod) if any(file.endswith(".private.pem") for file in secrets.get(name, {}))
        }
        assert private == needed
        # Only the authorizer signs as the gateway, and nobody makes sessions.
        assert ("ridehail-keys-gateway" in private) == (service == suite.AUTHORIZER)
        assert "ridehail-keys-sessions" not in private


@of_every_kind
def test_every_secret_that_a_pod_mounts_comes_from_somewhere(kind: str, secrets: dict[str, dict[str, bytes]]) -> None:
    made = {it["metadata"]["name"] for it in rendered(kind) if it["kind"] == "Secret"}
    made |= {it["spec"]["secretName"] for it in rendered(kind) if it["kind"] == "Certificate"}
    # By the operator of Postgres, and by those who bring their own.
    others = {f"{RELEASE}-database-app", f"{RELEASE}-database-ca", "db-owner", "db-ca", "db-passwords", "redis"}
    for _component, pod in pods(rendered(kind)):
        mounted = {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
        mounted |= set(key_secrets_of(pod))
        variables = (it for container in containers(pod) for it in container.get("env", ()))
        mounted |= {it["valueFrom"]["secretKeyRef"]["name"] for it in variables if "valueFrom" in it}
        assert mounted <= made | others | secrets.keys()


@of_every_kind
def test_a_service_connects_as_its_own_role_with_a_password_of_its_own(kind: str) -> None:
    stored = of_kind(rendered(kind), "Secret").get("database-passwords", {}).get("data", {})
    roles = set()
    for service, _pod, container in own_pods(kind):
        schema = suite.SERVICES[service].schema
        if schema is None:
            assert "RIDEHAIL_DATABASE_URL" not in environment(container)
            continue
        role = f"ridehail_{schema}"
        assert environment(container)["PGUSER"] == role
        (password,) = (it["valueFrom"]["secretKeyRef"] for it in container["env"] if it["name"] == "PGPASSWORD")
        assert password["key"] == role
        roles.add(role)
    if kind != "elsewhere":
        assert stored.keys() == roles
        assert len(set(stored.values())) == len(roles)


@of_every_kind
def test_the_migration_migrates_every_schema_that_a_pod_uses(kind: str) -> None:
    (job,) = of_kind(rendered(kind), "Job").values()
    (container,) = job["spec"]["template"]["spec"]["containers"]
    migrated = {word for word in container["args"] if word in suite.SERVICES}
    assert migrated == {service for service, _pod, _container in own_pods(kind) if suite.SERVICES[service].schema}
    assert container["args"][-3:] == ["--with-roles", "--role-passwords", f"{PLACE}/passwords"]


@pytest.mark.parametrize("kind", ["large", "dev", "elsewhere"])
def test_envoy_accepts_what_the_gateways_pods_render(
    kind: str, secrets: dict[str, dict[str, bytes]], tmp_path: Path
) -> None:
    pod = of_kind(rendered(kind), "Deployment")["gateway"]["spec"]["template"]["spec"]
    (container,) = pod["initContainers"]
    mount(tmp_path, pod, container, content_of(kind, secrets, tmp_path))
    (tmp_path / "gateway").mkdir()

    def here(text: str) -> str:
        return text.replace("/etc/ridehail", f"{tmp_path}/etc/ridehail").replace("=/gateway", f"={tmp_path}/gateway")

    variables = {name: here(value) for name, value in environment(container).items()}
    ran = CliRunner().invoke(app, [here(word) for word in container["args"]], env=variables)
    assert ran.exit_code == 0, ran.output
    config = (tmp_path / "gateway" / "envoy.yaml").read_text()
    # What only this container has is not named.
    assert str(default_descriptor_set()) not in config
    validate(config)
    for name, service in SUITE["services"].items():
        if service["gateway"] and not (kind == "elsewhere" and name == "order-core"):
            assert f"{RELEASE}-{name}" in config
