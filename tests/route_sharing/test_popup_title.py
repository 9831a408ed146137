"""The caption of the card: by language, with the name as it is."""

from __future__ import annotations

import pytest

from ridehail_servers import resources
from ridehail_servers.chassis.config import load
from ridehail_servers.chassis.locale_choice import preferred_languages
from ridehail_servers.route_sharing.config import RouteSharingConfig
from ridehail_servers.route_sharing.popup_title import Captions, popup_title
from ridehail_servers.route_sharing.ride import FamilyRide

SHIPPED = load(resources.folder("config") / "route_sharing.yaml", RouteSharingConfig).popup_title
ON, OFF = FamilyRide(7, "Василий", sharing_on=True), FamilyRide(7, "Василий", sharing_on=False)
FAMILY = {
    "en": "A ride on the family account of Василий",
    "he": "נסיעה בחשבון המשפחתי של Василий",
    "ru": "Семейная поездка, платит Василий",
}
DEFAULT = {"en": "A ride is shared with you", "he": "שיתפו אתכם בנסיעה", "ru": "Вам открыли маршрут поездки"}


@pytest.mark.parametrize(
    ("accept_language", "language"),
    [
        ("ru", "ru"),
        ("en", "en"),
        ("he", "he"),
        ("he-IL", "he"),
        ("iw-IL,en;q=0.9", "he"),
        ("ru-RU,ru;q=0.9,en;q=0.8", "ru"),
        ("en;q=0.5, ru;q=0.7", "ru"),
        ("de, he;q=0.1", "he"),
        ("de", "en"),
        ("*", "en"),
        ("", "en"),
        ("ru;q=0", "en"),
        ("RU", "ru"),
        ("\u202e, {}, %s, ../ru", "en"),
    ],
)
def test_it_is_in_the_language_that_the_passenger_prefers_of_those_there_are(
    accept_language: str, language: str
) -> None:
    languages = preferred_languages(accept_language)
    assert popup_title(SHIPPED, ON, languages) == FAMILY[language]
    assert popup_title(SHIPPED, OFF, languages) == DEFAULT[language]
    assert popup_title(SHIPPED, None, languages) == DEFAULT[language]


@pytest.mark.parametrize(
    "name",
    ["{admin_name}", "{0}", "{", "}}", "%s", "%(x)s", "$name", "{admin_name.__class__}", "<b>Ann</b>", "\\1", "אנה"],
)
def test_a_name_is_never_read_as_a_template(name: str) -> None:
    shown = popup_title(SHIPPED, FamilyRide(7, name, sharing_on=True), ["en"])
    assert shown == f"A ride on the family account of {name}"


def test_a_language_that_has_only_one_of_the_captions_gets_the_other_in_english() -> None:
    captions = Captions(default={"en": "shared", "de": "geteilt"}, family={"en": "of {admin_name}"})
    assert popup_title(captions, ON, ["de"]) == "of Василий"
    assert popup_title(captions, None, ["de"]) == "geteilt"
