"""The configuration of banners: refused with a reason, and fit to ship."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ridehail_servers import resources
from ridehail_servers.chassis.config import ConfigError, load
from ridehail_servers.inapp_communications.banners import Toggle
from ridehail_servers.inapp_communications.config import InappConfig

BANNER: dict[str, Any] = {"id": "one", "title": {"en": "One"}}
SET: dict[str, Any] = {"name": "set", "banners": [BANNER]}


def with_set(**changed: object) -> dict[str, object]:
    return {"banner_sets": [SET | changed]}


def with_banner(**changed: object) -> dict[str, object]:
    return with_set(banners=[BANNER | changed])


_SET, _BANNER = "banner_sets.0", "banner_sets.0.banners.0"
BAD: dict[str, tuple[object, str, str]] = {
    "nothing": ({}, "banner_sets", "Field required"),
    "an unknown key": ({"banner_sets": [], "banners": []}, "banners", "Extra inputs"),
    "a set without banners": ({"banner_sets": [{"name": "set"}]}, f"{_SET}.banners", "Field required"),
    "a set without a name": (with_set(name=""), f"{_SET}.name", "at least 1 character"),
    "a set twice": ({"banner_sets": [SET, SET]}, "banner_sets", "a set is given twice"),
    "a set for nobody": (with_set(family_roles=[]), f"{_SET}.family_roles", "at least 1 item"),
    "a role of its own": (with_set(family_roles=["admin"]), f"{_SET}.family_roles.0", "'user' or 'owner'"),
    "a banner twice": (with_set(banners=[BANNER, BANNER]), f"{_SET}.banners", "a banner is given twice"),
    "a banner without a name": (with_banner(id=""), f"{_BANNER}.id", "at least 1 character"),
    "a toggle of its own": (with_banner(toggle="share_with_all"), f"{_BANNER}.toggle", "share_ride_with_family"),
    "no title": (with_banner(title={}), f"{_BANNER}.title", "a title in en is required"),
    "no title in English": (with_banner(title={"ru": "a"}), f"{_BANNER}.title", "a title in en is required"),
    "Norwegian without quotes": (with_banner(title={"en": "a", False: "b"}), f"{_BANNER}.title", "quotes"),
    "a picture on disk": (with_banner(image_url="file:///etc/passwd"), f"{_BANNER}.image_url", "'http' or 'https'"),
    "a misspelt key": (with_banner(image="https://example.com"), f"{_BANNER}.image", "Extra inputs"),
}


@pytest.mark.parametrize(("content", "key", "reason"), BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_refused_with_key_and_reason(tmp_path: Path, content: object, key: str, reason: str) -> None:
    file = tmp_path / "inapp.yaml"
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError) as caught:
        load(file, InappConfig)
    assert caught.value.key == key
    assert reason in caught.value.reason


def test_the_shipped_file_speaks_three_languages_and_has_the_toggle_for_members_only() -> None:
    sets = load(resources.folder("config") / "inapp.yaml", InappConfig).banner_sets
    for one in sets:
        for banner in one.banners:
            assert {"en", "ru", "he"} <= banner.title.keys()
            assert not banner.text or banner.text.keys() == banner.title.keys()
            assert (banner.toggle is Toggle.SHARE_RIDE_WITH_FAMILY) <= (one.family_roles == frozenset({"user"}))
    assert sets[-1].family_roles is None
