"""api_proxy beside the real eulas."""

from __future__ import annotations

import itertools
from pathlib import Path

import yaml

from ridehail_clients import AsyncEulasClient, EulaDecision, EulaState
from tests.api_proxy.proxy import EVER_MS, configure, requires, serving
from tests.support.config_edits import edit
from tests.support.suite_in_process import suite_in_process

SUBSETS = [subset for size in (1, 2, 3) for subset in itertools.combinations(EulaState, size)]
# A type with one agreement, one with two, and one that no agreement has.
EULAS = {"one": ["one_1"], "several": ["several_1", "several_2"], "nowhere": []}
IDS = [eula_id for ids in EULAS.values() for eula_id in ids]
TARIFFS = {
    f"{kind} {'+'.join(allowed)} {'required' if required else 'free'}": (kind, allowed, required)
    for kind in EULAS
    for allowed in SUBSETS
    for required in (True, False)
}


def write_configuration(folder: Path) -> None:
    agreements = [
        {"eula_id": eula_id, "type": kind, "revision": 1, "ttl_s": 60, "rejectable": True, "title": {"en": eula_id}}
        for kind, ids in EULAS.items()
        for eula_id in ids
    ]
    (folder / "eulas.yaml").write_text(yaml.safe_dump({"ZONES": {"tel_aviv": "isr"}, "EULAS": agreements}))
    tariffs = {
        name: requires(kind, *map(str, allowed), required=required)
        for name, (kind, allowed, required) in TARIFFS.items()
    }
    configure(folder, tariffs)


def standing(kind: str, decided: dict[str, EulaState]) -> EulaState:
    """Returns where a rider with these answers stands with a type."""
    given = [decided[eula_id] for eula_id in EULAS[kind]]
    strongest_first = (EulaState.ACCEPTED, EulaState.REJECTED)
    return next((state for state in strongest_first if state in given), EulaState.UNKNOWN)


def expected(decided: dict[str, EulaState]) -> tuple[list[str], dict[str, str]]:
    """Returns what is shown to and hidden from a rider with these answers."""
    shown, hidden = [], {}
    for name, (kind, allowed, required) in TARIFFS.items():
        status = standing(kind, decided)
        if not required or status in allowed:
            shown.append(name)
        else:
            hidden[name] = f"eula_{status}"
    return shown, hidden


async def test_every_cell_with_riders_real_answers(database_url: str, keys_dir: Path, config_dir: Path) -> None:
    """A rider for every combination of answers; the type that no agreement has is unknown and spoils no other."""
    write_configuration(config_dir)
    running = suite_in_process(database_url=database_url, keys_dir=keys_dir, config_dir=config_dir, services=["eulas"])
    async with (
        running as suite,
        serving(keys_dir=keys_dir, config_dir=config_dir, eulas=suite.address) as proxy,
        AsyncEulasClient(suite.address, ticket=suite.ticket("admin")) as admin,
    ):
        for number, states in enumerate(itertools.product(EulaState, repeat=len(IDS))):
            uid, decisions = f"rider-{number}", dict(zip(IDS, states, strict=True))
            decided = {eula_id: state for eula_id, state in decisions.items() if state is not EulaState.UNKNOWN}
            if decided:
                await admin.save_eulas(yandex_uid=uid, eulas=[EulaDecision(*one) for one in decided.items()])
            response = await proxy.route_stats(*TARIFFS, uid=uid)
            assert (response.shown, response.hidden) == expected(decisions)
            listed = [one["eula_id"] for one in await proxy.need_acceptance(uid=uid) or ()]
            assert listed == [eula_id for eula_id in IDS if eula_id not in decided]


async def test_an_agreement_of_another_country_decides_nothing(
    database_url: str, keys_dir: Path, config_dir: Path
) -> None:
    """By the shipped configuration: a yes to the rules of one country is none to those of another."""
    edit(config_dir / "api_proxy.yaml", {"EULAS_TIMEOUT_MS": EVER_MS})
    async with (
        suite_in_process(
            database_url=database_url, keys_dir=keys_dir, config_dir=config_dir, services=["eulas"]
        ) as suite,
        serving(keys_dir=keys_dir, config_dir=config_dir, eulas=suite.address) as proxy,
        AsyncEulasClient(suite.address, ticket=suite.ticket("admin")) as admin,
    ):

        async def seen(**decided: str) -> dict[str, str]:
            decisions = [EulaDecision(eula_id, EulaState(state)) for eula_id, state in decided.items()]
            await admin.save_eulas(yandex_uid="rider", eulas=decisions)
            zones = ("tel_aviv", "jerusalem", "moscow")
            asked = [(zone, await proxy.route_stats("child", zone=zone, uid="rider")) for zone in zones]
            return {zone: one.hidden.get("child", "shown") for zone, one in asked}

        assert await seen(child_seat_il="accepted", child_seat_ru="rejected") == {
            "tel_aviv": "shown",
            "jerusalem": "shown",
            "moscow": "eula_rejected",
        }
        assert await seen(child_seat_ru="accepted") == {"tel_aviv": "shown", "jerusalem": "shown", "moscow": "shown"}
