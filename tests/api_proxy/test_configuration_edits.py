"""Edits of the files of a running server: noticed, and refused without harm."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import REGISTRY

from tests.api_proxy.proxy import REQUIREMENTS, ZONE, configure, requires, serving, set_experiment
from tests.api_proxy.scripted_eulas import ScriptedEulas, knowing
from tests.support.log_capture import LogCapture
from tests.support.suite_in_process import suite_in_process
from tests.support.waiting import until

STRICT = {"econom_surge": requires("surge", "accepted")}
UNAVAILABLE = {"econom_surge": "eulas_unavailable"}


def is_invalid(file: str = "api_proxy.yaml") -> bool:
    return REGISTRY.get_sample_value("ridehail_config_invalid", {"file": file}) == 1


async def test_an_edit_takes_effect_without_a_restart_and_a_bad_one_changes_nothing(
    eulas: ScriptedEulas, keys_dir: Path, config_dir: Path, log: LogCapture
) -> None:
    """By the chassis, whose tests have every kind of bad edit: here only whether it watches these files."""
    eulas.on_check = knowing({"surge": "accepted", "sdc": "rejected"})
    configure(config_dir, STRICT)
    file = config_dir / "api_proxy.yaml"
    async with serving(keys_dir=keys_dir, config_dir=config_dir, eulas=eulas.address, watched=True) as proxy:

        async def is_hidden(expected: dict[str, str]) -> bool:
            return (await proxy.route_stats("econom_surge")).hidden == expected

        assert await is_hidden({})
        file.write_text(file.read_text().replace("- accepted", "- agreed"))
        set_experiment(config_dir, default="of")
        await until(lambda: is_invalid() and is_invalid("flags.json"))
        refused = {one["file"]: one for one in log.events("configuration refused")}
        assert refused[str(file)]["level"] == "error"
        assert refused[str(file)]["key"] == f"{REQUIREMENTS}.{ZONE}.econom_surge.eula_statuses.0"
        assert "'accepted'" in refused[str(file)]["reason"]
        assert refused[str(config_dir / "flags.json")]["key"] == "flags.plugin_eulas"
        assert await is_hidden({})
        configure(config_dir, {"econom_surge": requires("sdc", "accepted")})
        await until(lambda: is_hidden({"econom_surge": "eula_rejected"}))
        await until(lambda: not is_invalid())
        set_experiment(config_dir, default="off")
        await until(lambda: is_hidden(UNAVAILABLE))
        await until(lambda: not is_invalid("flags.json"))


async def test_a_bad_edit_is_reported_also_where_eulas_reads_the_file_beside_api_proxy(
    database_url: str, keys_dir: Path, config_dir: Path
) -> None:
    """eulas reads less of the file and may find nothing wrong with it."""
    file = config_dir / "api_proxy.yaml"
    good = file.read_text()
    services = ("api-proxy", "eulas")
    async with suite_in_process(database_url=database_url, keys_dir=keys_dir, config_dir=config_dir, services=services):
        file.write_text(good.replace("EULAS_RETRIES: 1", "EULAS_RETRIES: 11"))
        await until(is_invalid)
        file.write_text(good)
        await until(lambda: not is_invalid())
