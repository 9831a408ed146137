"""`eulas.yaml`: refused with file, key and reason; changed without a restart."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY
from pydantic import BaseModel

from ridehail_servers import resources
from ridehail_servers.chassis.config import ConfigError, load
from ridehail_servers.eulas.config import EulasConfig, TariffRequirements
from ridehail_servers.eulas.decision import Status
from ridehail_servers.eulas.eula_save import NewDecision, accepted_decisions
from tests.eulas.harness import EULAS, Harness, agreement
from tests.eulas.users import User
from tests.support.log_capture import LogCapture
from tests.support.waiting import until

GOOD = agreement("surge_il", "surge", zones=["tel_aviv"])
ZONES = {"tel_aviv": "isr"}


def content(*eulas: object, zones: object = ZONES, **more: object) -> dict[str, object]:
    return {"ZONES": zones, "EULAS": list(eulas), **more}


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in GOOD.items() if name != key}


BAD_CONTENTS: dict[str, tuple[object, str, str]] = {
    "empty": (None, "ZONES", "Field required"),
    "no agreements": ({"ZONES": ZONES}, "EULAS", "Field required"),
    "unknown key": (content(GOOD, EULA=[]), "EULA", "Extra inputs"),
    "unknown key of an agreement": (content({**GOOD, "ttl": 1}), "EULAS.0.ttl", "Extra inputs"),
    **{
        f"no {key}": (content(GOOD, without(key)), f"EULAS.1.{key}", "Field required")
        for key in ("eula_id", "type", "revision", "ttl_s", "rejectable", "title")
    },
    "an id twice": (content(GOOD, GOOD), "EULAS.1.eula_id", "'surge_il' is given twice"),
    "an empty id": (content({**GOOD, "eula_id": ""}), "EULAS.0.eula_id", "1 to 128 printable characters"),
    "a long id": (content({**GOOD, "eula_id": "x" * 129}), "EULAS.0.eula_id", "1 to 128 printable characters"),
    "an unprintable type": (content({**GOOD, "type": "a\nb"}), "EULAS.0.type", "1 to 128 printable characters"),
    "a number as id": (content({**GOOD, "eula_id": 1}), "EULAS.0.eula_id", "valid string"),
    "revision 0": (content({**GOOD, "revision": 0}), "EULAS.0.revision", "greater than or equal to 1"),
    "revision too large": (content({**GOOD, "revision": 2**31}), "EULAS.0.revision", "less than or equal to"),
    "revision as text": (content({**GOOD, "revision": "1"}), "EULAS.0.revision", "valid integer"),
    "revision true": (content({**GOOD, "revision": True}), "EULAS.0.revision", "valid integer"),
    "ttl 0": (content({**GOOD, "ttl_s": 0}), "EULAS.0.ttl_s", "greater than or equal to 1"),
    "ttl beyond the calendar": (content({**GOOD, "ttl_s": 31_557_600_001}), "EULAS.0.ttl_s", "less than or equal to"),
    "ttl with a fraction": (content({**GOOD, "ttl_s": 1.5}), "EULAS.0.ttl_s", "valid integer"),
    "rejectable as text": (content({**GOOD, "rejectable": "yes"}), "EULAS.0.rejectable", "valid boolean"),
    "zones as text": (content({**GOOD, "zones": "tel_aviv"}), "EULAS.0.zones", "valid tuple"),
    "an unknown zone": (
        content({**GOOD, "zones": ["tel_aviv", "yafo"]}),
        "EULAS.0.zones.1",
        "'yafo' is not among ZONES",
    ),
    "an empty tariff": (content({**GOOD, "tariffs": [""]}), "EULAS.0.tariffs.0", "printable"),
    "a country as a number": (content({**GOOD, "countries": [972]}), "EULAS.0.countries.0", "valid string"),
    "no title in English": (content({**GOOD, "title": {"he": "x"}}), "EULAS.0.title", "a title in en is required"),
    "an empty title in English": (content({**GOOD, "title": {"en": ""}}), "EULAS.0.title", "a title in en"),
    "a title without language": (content({**GOOD, "title": "x"}), "EULAS.0.title", "valid dictionary"),
    "no language tag": (content({**GOOD, "text": {"en_US": "x"}}), "EULAS.0.text.en_US.[key]", "language tag"),
    "Norway": (content({**GOOD, "text": {False: "x"}}), "EULAS.0.text", "a language is not text; put it into quotes"),
    "a language twice": (content({**GOOD, "text": {"en-US": "x", "en-us": "y"}}), "EULAS.0.text", "given twice"),
    "a text that is none": (content({**GOOD, "text": {"en": None}}), "EULAS.0.text.en", "valid string"),
    "a url without scheme": (content({**GOOD, "url": "example.com"}), "EULAS.0.url", "relative URL"),
    "a url of a program": (content({**GOOD, "url": "javascript:alert(1)"}), "EULAS.0.url", "'http' or 'https'"),
    "a url of a file": (content({**GOOD, "url": "file:///etc/passwd"}), "EULAS.0.url", "'http' or 'https'"),
    "zones as a list": (content(GOOD, zones=["tel_aviv"]), "ZONES", "valid dictionary"),
    "a zone without country": (content(GOOD, zones={"tel_aviv": None}), "ZONES.tel_aviv", "valid string"),
    "an agreement that is none": (content(GOOD, "surge"), "EULAS.1", "valid dictionary"),
}


def written(folder: Path, content: object) -> Path:
    file = folder / "some.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


@pytest.mark.parametrize(("bad", "key", "reason"), BAD_CONTENTS.values(), ids=BAD_CONTENTS.keys())
def test_a_bad_file_is_refused_with_file_key_and_reason(tmp_path: Path, bad: object, key: str, reason: str) -> None:
    file = written(tmp_path, bad)
    with pytest.raises(ConfigError) as caught:
        load(file, EulasConfig)
    assert (caught.value.file, caught.value.key) == (file, key)
    assert reason in caught.value.reason
    assert str(caught.value).startswith(f"{file}: {key}: ")


def test_the_least_and_the_greatest_values_are_accepted(tmp_path: Path) -> None:
    most = {
        "eula_id": "ы" * 128,
        "revision": 2**31 - 1,
        "ttl_s": 31_557_600_000,
        "title": {"EN": "T", "pt-BR": "T"},
        "url": "http://example.com",
        "countries": ["never heard of"],
    }
    config = load(written(tmp_path, content({**GOOD, **most}, {**GOOD, "ttl_s": 1})), EulasConfig)
    assert [eula.title for eula in config.catalogue.eulas] == [
        {"en": "T", "pt-br": "T"},
        {"en": "surge_il in English"},
    ]
    assert config.catalogue.eulas[0].url == "http://example.com"
    assert load(written(tmp_path, {"ZONES": {}, "EULAS": []}), EulasConfig).catalogue.eulas == ()


def test_the_longest_ttl_ends_before_the_year_10000(tmp_path: Path) -> None:
    config = load(written(tmp_path, content({**GOOD, "ttl_s": 31_557_600_000})), EulasConfig)
    in_a_thousand_years = datetime(3026, 1, 1, tzinfo=UTC)
    made = accepted_decisions([NewDecision("surge_il", Status.ACCEPTED)], config.catalogue, in_a_thousand_years)
    assert made[0].valid_till.year < 4100


@pytest.mark.parametrize("model", [(EulasConfig, "eulas.yaml"), (TariffRequirements, "api_proxy.yaml")])
def test_the_shipped_files_are_valid(model: tuple[type[BaseModel], str]) -> None:
    load(resources.folder("config") / model[1], model[0])


def test_every_type_that_a_shipped_tariff_requires_has_a_shipped_agreement_that_applies_in_its_zone() -> None:
    required = load(resources.folder("config") / "api_proxy.yaml", TariffRequirements).required_types
    catalogue = load(resources.folder("config") / "eulas.yaml", EulasConfig).catalogue
    pairs = [(eula_type, zone) for zone, types in required.items() for eula_type in types]
    assert pairs
    for eula_type, zone in pairs:
        assert any(catalogue.applies_in(eula, zone) for eula in catalogue.of_type(eula_type))


# --- requirements of tariffs


KEY = "ROUTESTATS_EULA_REQUIREMENTS_FOR_CATEGORIES_IN_ZONE"


def test_the_types_that_tariffs_require_are_known_by_zone(tmp_path: Path) -> None:
    requirements = {
        "a": {"x": {"eula_type": "surge", "is_eula_required": True, "eula_statuses": []}},
        "b": {
            "x": {"eula_type": "sdc", "is_eula_required": False},
            "y": {"eula_type": "rules", "is_eula_required": True, "something": "new"},
        },
        "c": {},
    }
    file = written(tmp_path, {KEY: requirements, "ANYTHING": "else"})
    assert load(file, TariffRequirements).required_types == {
        "a": {"surge"},
        "b": {"rules"},
        "c": frozenset(),
    }


@pytest.mark.parametrize(
    ("bad", "key"),
    [
        ({}, KEY),
        ({KEY: {"a": {"x": {"eula_type": "surge"}}}}, f"{KEY}.a.x.is_eula_required"),
        ({KEY: {"a": {"x": {"eula_type": "surge", "is_eula_required": "yes"}}}}, f"{KEY}.a.x.is_eula_required"),
        ({KEY: ["a"]}, KEY),
    ],
)
def test_unreadable_requirements_are_refused(tmp_path: Path, bad: object, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, bad), TariffRequirements)
    assert caught.value.key == key


# --- while the server runs


async def test_an_invalid_edit_changes_nothing_and_its_correction_takes_effect(
    harness: Harness, user: User, log: LogCapture
) -> None:
    def is_invalid() -> bool:
        return REGISTRY.get_sample_value("ridehail_config_invalid", {"file": "eulas.yaml"}) == 1

    file = harness.suite.settings.config_dir / "eulas.yaml"
    for bad, key in (("EULAS: [", ""), ("ZONES: {}\nEULAS: [{eula_id: rules}]", "EULAS.0.type"), ("", "ZONES")):
        file.write_text(bad)

        def refused(key: str = key) -> bool:
            return any(line["key"] == key for line in log.events("configuration refused"))

        await until(refused)
        line = log.events("configuration refused")[-1]
        assert (line["level"], line["file"]) == ("error", str(file))
        assert line["reason"]
        assert is_invalid()
        assert await user.listed("unknown", "tel_aviv") == [("surge_il", "unknown"), ("rules", "unknown")]
    await harness.configure(EULAS[3:])
    assert not is_invalid()
    assert await user.listed("unknown", "tel_aviv") == [("rules", "unknown")]
