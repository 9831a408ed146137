"""The configuration: refused with a reason, changed without a restart, and fit to ship."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml

from ridehail_servers import resources
from ridehail_servers.api_proxy.config import ApiProxyConfig
from ridehail_servers.chassis.config import ConfigError, load
from ridehail_servers.inapp_communications.config import InappConfig
from tests.api_proxy.proxy import CARD, PERSONALSTATE, REQUIREMENTS, ZONE, Proxy, requires
from tests.api_proxy.scripted_eulas import ROUNDING_S, ScriptedEulas, failing, knowing

STRICT = {"econom_surge": requires("surge", "accepted")}
_CARD, KEPT = "TAXI_ON_THE_WAY", "INAPP_TOTW_STORIES_CACHE_CONTROL"
UNAVAILABLE = {"econom_surge": "eulas_unavailable"}


def requirement(**changed: object) -> dict[str, object]:
    return {REQUIREMENTS: {ZONE: {"econom": requires("surge", "accepted") | changed}}}


def personalstate(**changed: object) -> dict[str, object]:
    return {"personalstate": PERSONALSTATE | changed}


def without(key: str) -> dict[str, object]:
    content = requires("surge", "accepted")
    del content[key]
    return {REQUIREMENTS: {ZONE: {"econom": content}}}


LAUNCH = {"orders_state": "stage1"}


def timeouts(**changed: object) -> dict[str, object]:
    return {_CARD: CARD[_CARD] | changed}


def kept(**changed: object) -> dict[str, object]:
    return {KEPT: CARD[KEPT] | changed}


_ECONOM = f"{REQUIREMENTS}.{ZONE}.econom"
# What is wrong, the key that is named, and what is said of it.
BAD: dict[str, tuple[dict[str, object], str, str]] = {
    "an unknown key": ({"EULAS_TIMEOUT": 100}, "EULAS_TIMEOUT", "Extra inputs"),
    "a key in small letters": ({"eulas_retries": 1}, "eulas_retries", "Extra inputs"),
    "a switch that is a number": ({"EULAS_SERVICE_ENABLED": 1}, "EULAS_SERVICE_ENABLED", "valid boolean"),
    "a switch that is a word": ({"EULAS_SERVICE_ENABLED": "on"}, "EULAS_SERVICE_ENABLED", "valid boolean"),
    "no timeout": ({"EULAS_TIMEOUT_MS": 0}, "EULAS_TIMEOUT_MS", "greater than or equal to 1"),
    "a negative timeout": ({"EULAS_TIMEOUT_MS": -100}, "EULAS_TIMEOUT_MS", "greater than or equal to 1"),
    "an endless timeout": ({"EULAS_TIMEOUT_MS": 10_001}, "EULAS_TIMEOUT_MS", "less than or equal to 10000"),
    "a broken timeout": ({"EULAS_TIMEOUT_MS": 0.5}, "EULAS_TIMEOUT_MS", "valid integer"),
    "a timeout with a unit": ({"EULAS_TIMEOUT_MS": "100ms"}, "EULAS_TIMEOUT_MS", "valid integer"),
    "a timeout that is a switch": ({"EULAS_TIMEOUT_MS": True}, "EULAS_TIMEOUT_MS", "valid integer"),
    "fewer than no retries": ({"EULAS_RETRIES": -1}, "EULAS_RETRIES", "greater than or equal to 0"),
    "endless retries": ({"EULAS_RETRIES": 11}, "EULAS_RETRIES", "less than or equal to 10"),
    "no zones": ({REQUIREMENTS: None}, REQUIREMENTS, "valid dictionary"),
    "a list of zones": ({REQUIREMENTS: [ZONE]}, REQUIREMENTS, "valid dictionary"),
    "a zone without a name": ({REQUIREMENTS: {"": {}}}, f"{REQUIREMENTS}..[key]", "at least 1 character"),
    "a zone that is a number": ({REQUIREMENTS: {7: {}}}, f"{REQUIREMENTS}.7.[key]", "valid string"),
    "a zone with nothing": ({REQUIREMENTS: {ZONE: None}}, f"{REQUIREMENTS}.{ZONE}", "valid dictionary"),
    "a tariff with nothing": ({REQUIREMENTS: {ZONE: {"econom": None}}}, _ECONOM, "valid dictionary"),
    "a misspelt key": (requirement(eula_status=[]), f"{_ECONOM}.eula_status", "Extra inputs"),
    "no type": (without("eula_type"), f"{_ECONOM}.eula_type", "Field required"),
    "no word on whether it is required": (without("is_eula_required"), f"{_ECONOM}.is_eula_required", "Field required"),
    "no word on statuses": (without("eula_statuses"), f"{_ECONOM}.eula_statuses", "Field required"),
    "an empty type": (requirement(eula_type=""), f"{_ECONOM}.eula_type", "at least 1 character"),
    "an endless type": (requirement(eula_type="x" * 129), f"{_ECONOM}.eula_type", "at most 128 characters"),
    "a type that is a list": (requirement(eula_type=["surge"]), f"{_ECONOM}.eula_type", "valid string"),
    "required, as a word": (requirement(is_eula_required="yes!"), f"{_ECONOM}.is_eula_required", "valid boolean"),
    "required, but by no status": (requirement(eula_statuses=[]), _ECONOM, "eula_statuses must not be empty"),
    "a status of its own": (
        requirement(eula_statuses=["accepted", "signed"]),
        f"{_ECONOM}.eula_statuses.1",
        "'unknown', 'accepted' or 'rejected'",
    ),
    "a status in capitals": (requirement(eula_statuses=["ACCEPTED"]), f"{_ECONOM}.eula_statuses.0", "'accepted'"),
    "launch in capitals": ({"LAUNCH": {"orders_state": "stage1"}}, "LAUNCH", "Extra inputs"),
    "launch with nothing": ({"launch": None}, "launch", "valid dictionary"),
    "a stage of its own": ({"launch": {"orders_state": "stage3"}}, "launch.orders_state", "'stage1' or 'stage2'"),
    "a stage that is a number": ({"launch": {"orders_state": 1}}, "launch.orders_state", "'stage1' or 'stage2'"),
    "no stage": ({"launch": {}}, "launch.orders_state", "Field required"),
    "an unknown key of launch": ({"launch": LAUNCH | {"timeout_ms": 1}}, "launch.timeout_ms", "Extra inputs"),
    "providers without time": (
        {"launch": LAUNCH | {"provider_timeout_ms": 0}},
        "launch.provider_timeout_ms",
        "greater than or equal to 1",
    ),
    "endless time for order_state": (
        {"launch": LAUNCH | {"order_state_timeout_ms": 10_001}},
        "launch.order_state_timeout_ms",
        "less than or equal to 10000",
    ),
    "broken time for order_state": (
        {"launch": LAUNCH | {"order_state_timeout_ms": 0.5}},
        "launch.order_state_timeout_ms",
        "valid integer",
    ),
    "no mode": (personalstate(mode=None), "personalstate.mode", "'compare' or 'new'"),
    "a mode of its own": (personalstate(mode="old"), "personalstate.mode", "'compare' or 'new'"),
    "no time for the new back end": (personalstate(new_timeout_ms=0), "personalstate.new_timeout_ms", "equal to 1"),
    "endless time for it": (personalstate(new_timeout_ms=2_001), "personalstate.new_timeout_ms", "equal to 2000"),
    "no time for the old one": (personalstate(old_timeout_ms=0), "personalstate.old_timeout_ms", "equal to 1"),
    "endless time for that": (personalstate(old_timeout_ms=2_501), "personalstate.old_timeout_ms", "equal to 2500"),
    "a queue below nothing": (personalstate(compare_queue=-1), "personalstate.compare_queue", "equal to 0"),
    "an endless queue": (personalstate(compare_queue=10_001), "personalstate.compare_queue", "equal to 10000"),
    "nobody who compares": (personalstate(compare_workers=0), "personalstate.compare_workers", "equal to 1"),
    "a misspelt key of personal states": (personalstate(timeout_ms=1), "personalstate.timeout_ms", "Extra inputs"),
    "personal states in capitals": ({"PERSONALSTATE": PERSONALSTATE}, "PERSONALSTATE", "Extra inputs"),
    "one status, not in a list": (requirement(eula_statuses="accepted"), f"{_ECONOM}.eula_statuses", "valid list"),
    "no patience with order_core": (
        timeouts(order_core_timeout_ms=0),
        f"{_CARD}.order_core_timeout_ms",
        "or equal to 1",
    ),
    "endless patience": (timeouts(inapp_timeout_ms=10_001), f"{_CARD}.inapp_timeout_ms", "or equal to 10000"),
    "a broken patience": (timeouts(toll_roads_timeout_ms=0.5), f"{_CARD}.toll_roads_timeout_ms", "valid integer"),
    "patience with a stranger": (timeouts(family_timeout_ms=1), f"{_CARD}.family_timeout_ms", "Extra inputs"),
    "banners that are kept too long": (kept(family={"ttl_s": 3601}), f"{KEPT}.family.ttl_s", "or equal to 3600"),
    "banners that are kept less than not": (kept(family={"ttl_s": -1}), f"{KEPT}.family.ttl_s", "or equal to 0"),
    "banners that are kept by a word": (kept(family={"ttl_s": "60"}), f"{KEPT}.family.ttl_s", "valid integer"),
    "banners that are kept for a switch": (kept(family={"ttl_s": True}), f"{KEPT}.family.ttl_s", "valid integer"),
    "banners without a word on how long": (kept(family={}), f"{KEPT}.family.ttl_s", "Field required"),
    "banners with a misspelt key": (kept(family={"ttl": 60}), f"{KEPT}.family.ttl_s", "Field required"),
    "a set without a name": (kept(**{"": {"ttl_s": 1}}), f"{KEPT}..[key]", "at least 1 character"),
    "no default": ({KEPT: {"family": {"ttl_s": 60}}}, KEPT, "default is missing"),
}
WHOLE: dict[str, Any] = {
    "launch": LAUNCH,
    "EULAS_SERVICE_ENABLED": True,
    "EULAS_TIMEOUT_MS": 100,
    "EULAS_RETRIES": 1,
    REQUIREMENTS: {},
    **CARD,
    "personalstate": PERSONALSTATE,
}


def written(folder: Path, content: object) -> Path:
    file = folder / "api_proxy.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


@pytest.mark.parametrize(("changes", "key", "reason"), BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_refused_with_key_and_reason(
    tmp_path: Path, changes: dict[str, object], key: str, reason: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, WHOLE | changes), ApiProxyConfig)
    assert caught.value.key == key
    assert reason in caught.value.reason


@pytest.mark.parametrize("missing", WHOLE)
def test_nothing_may_be_left_out(tmp_path: Path, missing: str) -> None:
    content = {key: value for key, value in WHOLE.items() if key != missing}
    with pytest.raises(ConfigError, match=rf"{missing}: Field required"):
        load(written(tmp_path, content), ApiProxyConfig)


@pytest.mark.parametrize(
    "changes",
    [
        {"EULAS_TIMEOUT_MS": 1, "EULAS_RETRIES": 0},
        {"EULAS_TIMEOUT_MS": 10_000, "EULAS_RETRIES": 10},
        requirement(eula_statuses=[], is_eula_required=False),
        personalstate(mode="new", new_timeout_ms=1, old_timeout_ms=1, compare_queue=0, compare_workers=1),
        personalstate(new_timeout_ms=2_000, old_timeout_ms=2_500, compare_queue=10_000, compare_workers=64),
        requirement(eula_statuses=["unknown", "accepted", "rejected", "accepted"]),
        {REQUIREMENTS: {ZONE: {}}},
        {"launch": {"orders_state": "stage2", "provider_timeout_ms": 1, "order_state_timeout_ms": 10_000}},
        timeouts(order_core_timeout_ms=1, inapp_timeout_ms=10_000),
        kept(default={"ttl_s": 0}, family={"ttl_s": 3600}),
    ],
)
def test_the_limits_themselves_are_fine(tmp_path: Path, changes: dict[str, object]) -> None:
    load(written(tmp_path, WHOLE | changes), ApiProxyConfig)


def test_the_shipped_files_fit_together() -> None:
    """Every required type can be accepted in its zone, and every zone is one of eulas'."""
    config = load(resources.folder("config") / "api_proxy.yaml", ApiProxyConfig)
    eulas = yaml.safe_load((resources.folder("config") / "eulas.yaml").read_text())
    required = config.routestats_eula_requirements_for_categories_in_zone
    assert required
    for zone, tariffs in required.items():
        country = eulas["ZONES"][zone]
        for tariff, asked in tariffs.items():
            assert any(
                one["type"] == asked.eula_type
                and zone in (one.get("zones") or [zone])
                and country in (one.get("countries") or [country])
                for one in eulas["EULAS"]
            ), f"{zone}: nobody can accept what {tariff} requires"


def test_only_sets_of_banners_that_there_are_have_a_time_of_their_own() -> None:
    config = load(resources.folder("config") / "api_proxy.yaml", ApiProxyConfig)
    sets = {one.name for one in load(resources.folder("config") / "inapp.yaml", InappConfig).banner_sets}
    assert set(config.inapp_totw_stories_cache_control) - {"default"} <= sets
    assert config.promos_ttl_s("family") == 60
    assert config.promos_ttl_s("of a later release") == 30


def test_banners_that_could_not_be_told_are_never_kept() -> None:
    config = load(resources.folder("config") / "api_proxy.yaml", ApiProxyConfig)
    assert config.promos_ttl_s("") == 0


# --- while the server runs


async def test_each_setting_is_read_anew_by_every_call(eulas: ScriptedEulas, proxy: Proxy) -> None:
    eulas.on_check = knowing({"surge": "accepted", "sdc": "rejected"})

    async def hidden() -> dict[str, str]:
        return (await proxy.route_stats("econom_surge")).hidden

    async def attempts() -> int:
        eulas.checked.clear()
        await proxy.route_stats("econom_surge")
        return len(eulas.checked)

    proxy.configure(STRICT)
    assert await hidden() == {}
    proxy.configure(STRICT, enabled=False)
    assert await hidden() == UNAVAILABLE
    proxy.configure(STRICT)
    assert await hidden() == {}
    proxy.set_experiment(default="off")
    assert await hidden() == UNAVAILABLE
    proxy.set_experiment(default="off", targeting={"if": [{"==": [{"var": "targetingKey"}, "uid"]}, "on"]})
    assert await hidden() == {}
    proxy.configure({"econom_surge": requires("sdc", "accepted")})
    assert await hidden() == {"econom_surge": "eula_rejected"}
    eulas.on_check = failing(grpc.StatusCode.UNAVAILABLE)
    for retries in (0, 2, 0):
        proxy.configure(STRICT, retries=retries)
        assert await attempts() == retries + 1
    for seconds in (1.0, 0.5):
        proxy.configure(STRICT, timeout_ms=int(seconds * 1000))
        eulas.seconds_left.clear()
        await proxy.route_stats("econom_surge")
        assert max(eulas.seconds_left) <= seconds + ROUNDING_S


@pytest.mark.parametrize(
    ("name", "ours"), [("EULAS_ENABLED", "EULAS_SERVICE_ENABLED"), ("EULAS_TIMEOUT", "EULAS_TIMEOUT_MS")]
)
def test_the_designs_names_of_keys_work_and_a_key_by_both_names_is_refused(
    tmp_path: Path, name: str, ours: str
) -> None:
    content = yaml.safe_load((resources.folder("config") / "api_proxy.yaml").read_text())
    both = tmp_path / "both.yaml"
    both.write_text(yaml.safe_dump(content | {name: content[ours]}))
    with pytest.raises(ConfigError) as caught:
        load(both, ApiProxyConfig)
    assert caught.value.key == name
    content[name] = content.pop(ours)
    renamed = tmp_path / "renamed.yaml"
    renamed.write_text(yaml.safe_dump(content))
    assert load(renamed, ApiProxyConfig) == load(resources.folder("config") / "api_proxy.yaml", ApiProxyConfig)
