"""The simulation of many apps that poll, and its drawing."""

from __future__ import annotations

import sys
from xml.etree import ElementTree as ET

import pytest

from bench.polling import __main__ as command
from bench.polling.plot import drawing
from bench.polling.simulation import INTERVAL_S, SCENARIOS, OwnPace, Slots, simulate

SERVED, REFUSED, SHORT, _ = SCENARIOS
APPS = 3_000


def test_apps_that_polled_together_are_spread_by_their_next_poll() -> None:
    slots, own = (simulate(SERVED, rule, apps=APPS) for rule in (Slots(), OwnPace()))
    # Of 300 a second chance alone leaves a fifth.
    assert slots.peak_of_mean(INTERVAL_S // 2) < 1.25
    assert own.peak_of_mean(2 * INTERVAL_S) > 1.6


def test_apps_that_were_refused_together_do_not_come_back_together() -> None:
    slots, own = (simulate(REFUSED, rule, apps=APPS) for rule in (Slots(), OwnPace()))
    assert slots.refused > APPS / 2
    assert slots.peak_of_mean() < own.peak_of_mean()
    assert slots.calm_after_s(0.3) < own.calm_after_s(0.3)


def test_every_app_polls_once_an_interval_in_the_end() -> None:
    for rule in (Slots(), OwnPace()):
        arrivals = simulate(SHORT, rule, apps=APPS)
        assert sum(arrivals.polls[-INTERVAL_S:]) == pytest.approx(APPS, rel=0.05)


def test_the_command_draws_a_panel_a_scenario(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path_factory.mktemp("polling") / "polling.svg"
    monkeypatch.setattr(sys, "argv", ["polling", "--apps", "100", "--output", str(file)])
    command.main()
    lines = [one for one in ET.parse(file).getroot() if one.tag.endswith("polyline")]
    assert len(lines) == 2 * len(SCENARIOS)
    assert len(capsys.readouterr().out.splitlines()) == 2 + 2 * len(SCENARIOS)


def test_titles_are_text_whatever_is_in_them() -> None:
    assert ET.fromstring(drawing({"a < b & c": {"<line>": [0.5, 9.0]}})).tag.endswith("svg")
