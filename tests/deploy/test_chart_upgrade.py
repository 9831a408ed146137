"""An upgrade of the Helm chart: in waves, with a configuration and a migration for each version."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.deploy.chart import SUITE, Manifest, containers, of_kind, pods, render


def images(manifests: Sequence[Manifest]) -> dict[str, str]:
    """Returns the tag of our own image by component."""
    return {
        component: container["image"].partition(":")[2]
        for component, pod in pods(list(manifests))
        for container in containers(pod)
        if container["image"].startswith("ridehail:")
    }


def test_an_upgrade_goes_in_waves_and_leaves_the_others_as_they_are() -> None:
    waves = {name: service["wave"] for name, service in SUITE["services"].items()}
    steps = (0, 1, 2, SUITE["waves"]["workers"], SUITE["waves"]["gateway"])
    before, *during = render(
        {"image": {"tag": "1.0"}},
        *({"image": {"tag": "2.0", "previousTag": "1.0", "wave": step}} for step in steps),
    )
    for step, manifests in zip(steps, during, strict=True):
        new = {name for name, tag in images(manifests).items() if tag == "2.0"}
        assert "migrate" in new
        for name, service in SUITE["services"].items():
            assert (name in new) == (waves[name] <= step)
            # Not before those that it calls, unless they call it in turn.
            assert name not in new or all(it in new for it in service["calls"])
        assert ("toll-roads-worker" in new) == (step >= SUITE["waves"]["workers"])
        unchanged = of_kind(before, "Deployment")
        for name, deployment in of_kind(manifests, "Deployment").items():
            if name not in new:
                assert deployment == unchanged[name]
    assert set(images(during[-1]).values()) == {"2.0"}


def test_each_version_reads_a_configuration_of_its_own_that_stays() -> None:
    (manifests,) = render({"image": {"tag": "2.0", "previousTag": "1.0", "wave": 0}})
    assert "config-2.0" in of_kind(manifests, "ConfigMap")
    assert of_kind(manifests, "ConfigMap")["config-2.0"]["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    deployments = of_kind(manifests, "Deployment")
    read = {name: set(_config_maps(deployments[name])) for name in ("passenger-authorizer", "api-proxy")}
    assert read == {"passenger-authorizer": {"ridehail-config-2.0"}, "api-proxy": {"ridehail-config-1.0"}}


def _config_maps(deployment: Manifest) -> Iterator[str]:
    for volume in deployment["spec"]["template"]["spec"]["volumes"]:
        if "configMap" in volume:
            yield volume["configMap"]["name"]


def test_a_migration_has_a_job_for_each_version_and_for_the_same_one_the_same() -> None:
    first, again, next_one = (
        list(of_kind(it, "Job")) for it in render({}, {"logLevel": "DEBUG"}, {"image": {"tag": "2.0"}})
    )
    assert first == again
    assert first != next_one
