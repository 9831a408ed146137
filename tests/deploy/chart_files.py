"""The files of the chart's pods, laid out as the kubelet would."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

from ridehail_servers import resources, suite
from ridehail_servers.runtime.key_files import create_missing
from ridehail_servers.runtime.key_secrets import key_secrets
from tests.deploy.chart import SUITE, Manifest, pods, rendered
from tests.support.certificates import Authority


def printed_secrets(keys: Path) -> dict[str, dict[str, bytes]]:
    """Makes keys in a folder; returns the content of each Secret that `ridehail keys secrets` prints of them."""
    sources = suite.ticket_sources(resources.folder("config"))
    create_missing(keys, sources, suite.secret_files())
    printed = key_secrets(keys, sources, suite.secret_files(), prefix="ridehail-keys")
    return {
        it["metadata"]["name"]: {name: base64.b64decode(content) for name, content in it["data"].items()}
        for it in printed
    }


def own_pods(kind: str) -> Iterator[tuple[str, Manifest, Manifest]]:
    """Yields the pods of servers and workers, with the name of the service and the container."""
    for component, pod in pods(rendered(kind)):
        if component.removesuffix("-worker") in SUITE["services"]:
            (container,) = pod["containers"]
            yield component.removesuffix("-worker"), pod, container


def mount(root: Path, pod: Manifest, container: Manifest, content: dict[str, dict[str, bytes]]) -> None:
    """Lays the files of Secrets and ConfigMaps out below `root` as the kubelet would."""
    volumes = {it["name"]: it for it in pod["volumes"]}
    for place in container["volumeMounts"]:
        volume = volumes[place["name"]]
        if "emptyDir" in volume:
            continue
        sources = [it["secret"] for it in volume.get("projected", {}).get("sources", ())] or [
            volume.get("secret") or volume["configMap"]
        ]
        names = [it.get("secretName") or it["name"] for it in sources]
        files = {file: data for name in names for file, data in content.get(name, {}).items()}
        items = volume.get("secret", {}).get("items")
        if items:
            files = {it["path"]: files[it["key"]] for it in items if it["key"] in files}
        target = root / place["mountPath"].removeprefix("/")
        if "subPath" in place:
            files, target = {target.name: files[place["subPath"]]}, target.parent
        target.mkdir(parents=True, exist_ok=True)
        for file, data in files.items():
            (target / file).parent.mkdir(exist_ok=True)
            (target / file).write_bytes(data)
            (target / file).chmod(0o600)


def content_of(kind: str, secrets: dict[str, dict[str, bytes]], folder: Path) -> dict[str, dict[str, bytes]]:
    """Returns the files of everything that pods may mount."""
    found = dict(secrets)
    issuer = Authority(folder)
    for it in rendered(kind):
        if it["kind"] == "ConfigMap":
            found[it["metadata"]["name"]] = {name: text.encode() for name, text in it["data"].items()}
        if it["kind"] == "Secret":
            found[it["metadata"]["name"]] = {name: base64.b64decode(data) for name, data in it["data"].items()}
        if it["kind"] == "Certificate" and not it["spec"].get("isCA"):
            place = issuer.folder(it["metadata"]["name"], *it["spec"]["dnsNames"])
            names = {"ca.pem": "ca.crt", "cert.pem": "tls.crt", "key.pem": "tls.key"}
            found[it["spec"]["secretName"]] = {new: (place / old).read_bytes() for old, new in names.items()}
    return found
