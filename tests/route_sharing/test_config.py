"""`route_sharing.yaml`: errors name the key, and the server does not start with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ridehail_servers import resources
from ridehail_servers.chassis.config import ConfigError, load
from ridehail_servers.route_sharing.config import RouteSharingConfig

DEFAULT, FAMILY = {"en": "Shared"}, {"en": "By {admin_name}"}


def content(**changes: Any) -> dict[str, Any]:
    return {"popup_title": {"default": DEFAULT, "family": FAMILY}, **changes}


def captions(*, default: Any = DEFAULT, family: Any = FAMILY) -> dict[str, Any]:
    return content(popup_title={"default": default, "family": family})


def read(folder: Path, written: object) -> RouteSharingConfig:
    file = folder / "route_sharing.yaml"
    file.write_text(yaml.safe_dump(written, allow_unicode=True))
    return load(file, RouteSharingConfig)


def test_the_shipped_file_has_each_caption_in_three_languages() -> None:
    config = load(resources.folder("config") / "route_sharing.yaml", RouteSharingConfig)
    assert config.popup_title.default.keys() == config.popup_title.family.keys() == {"en", "he", "ru"}
    assert config.kept_h == 168


def test_languages_are_known_in_any_case(tmp_path: Path) -> None:
    assert read(tmp_path, captions(default={"EN": "x", "pt-BR": "y"})).popup_title.default == {"en": "x", "pt-br": "y"}


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ({}, "popup_title"),
        (content(unknown=1), "unknown"),
        (content(kept_h=0), "kept_h"),
        (content(kept_h=8785), "kept_h"),
        (content(kept_h="168"), "kept_h"),
        (content(kept_h=1.5), "kept_h"),
        (content(kept_h=True), "kept_h"),
        (content(popup_title={"default": DEFAULT}), "popup_title.family"),
        (content(popup_title={"default": DEFAULT, "family": FAMILY, "friends": {}}), "popup_title.friends"),
        (captions(default={}), "popup_title.default"),
        (captions(default={"ru": "x"}), "popup_title.default"),
        (captions(default={"en": ""}), "popup_title.default"),
        (captions(default={"en": "x", "ru": " "}), "popup_title.default"),
        (captions(default={"en": "x", "EN": "y"}), "popup_title.default"),
        (captions(default={"en": "x", False: "y"}), "popup_title.default"),
        (captions(default={"en": "Of {admin_name}"}), "popup_title.default"),
        (captions(default="Shared"), "popup_title.default"),
        (captions(family={"ru": "{admin_name}"}), "popup_title.family"),
        (captions(family={"en": "Family"}), "popup_title.family"),
        (captions(family={"en": "{admin_name}", "ru": "Семья"}), "popup_title.family"),
        (captions(family={"en": "{admin_name} and {admin_name}"}), "popup_title.family"),
        (captions(family={"en": "{admin_nmae}"}), "popup_title.family"),
        (captions(family={"en": "{admin_name} {uid}"}), "popup_title.family"),
        (captions(family={"en": "{{admin_name}}"}), "popup_title.family"),
        (captions(family={"en": 7}), "popup_title.family.en"),
    ],
)
def test_errors_name_the_key(tmp_path: Path, written: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, written)
    assert refused.value.key.removesuffix(".[key]") == key
