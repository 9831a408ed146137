"""Simulates a million apps that come back, draws docs/polling.svg and prints the table of docs/order-state.md."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from .plot import drawing
from .simulation import SCENARIOS, Arrivals, OwnPace, Rule, Slots, simulate

# Each stands for so many of a million that a second's noise is 2 %.
APPS: Final = 20_000
_RULES: Final[dict[str, Rule]] = {"apps that pace themselves": OwnPace(), "slots of the server": Slots()}


def main() -> None:
    """Simulates, draws, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("docs/polling.svg"))
    parser.add_argument("--apps", type=int, default=APPS, help="how many are simulated; they stand for a million")
    arguments = parser.parse_args()
    panels = {}
    print(
        "| what happens | rule | busiest second, of the usual rate: at all, after 30 s | even after | refused polls |"
    )
    print("|---|---|---|---|---|")
    for scenario in SCENARIOS:
        found = {name: simulate(scenario, rule, apps=arguments.apps) for name, rule in _RULES.items()}
        panels[scenario.name] = {name: [polls / one.rate for polls in one.polls] for name, one in found.items()}
        for name, one in found.items():
            print(f"| {scenario.name} | {name} | {_figures(one)} |")
    arguments.output.write_text(drawing(panels))


def _figures(one: Arrivals) -> str:
    share = one.refused / one.apps
    return f"{one.peak_of_mean(1):.2f}, {one.peak_of_mean(30):.2f} | {one.calm_after_s()} s | {share:.2f} an app"


if __name__ == "__main__":
    main()
