"""Lists from texts that are encoded once are those that are built message by message, whatever is reloaded."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ridehail.eulas.v1 import eulas_api_pb2 as api
from ridehail.eulas.v1 import eulas_pb2
from ridehail_servers.chassis.locale_choice import preferred_languages, text_in
from ridehail_servers.chassis.timestamps import to_timestamp
from ridehail_servers.eulas.codec import ListCodec
from ridehail_servers.eulas.decision import Decision, Status
from ridehail_servers.eulas.eula_catalogue import Eula, EulaCatalogue
from ridehail_servers.eulas.eula_filter import ListedEula

pytestmark = pytest.mark.unit

IDS = ["surge", "sdc", "rules"]
LANGUAGES = ["en", "ru", "he", "pt-br"]
WORDS = st.sampled_from(["", "Cars", "Машины", "\U0001f695" * 40])
EULAS = st.lists(
    st.builds(
        Eula,
        eula_id=st.sampled_from(IDS),
        type=st.sampled_from(IDS),
        revision=st.just(1),
        ttl_s=st.just(1),
        rejectable=st.booleans(),
        title=st.dictionaries(st.sampled_from(LANGUAGES), WORDS).map(lambda titles: {**titles, "en": "Title"}),
        text=st.dictionaries(st.sampled_from(LANGUAGES), WORDS),
        url=st.sampled_from(["", "https://example.com/rules"]),
    ),
    unique_by=lambda eula: eula.eula_id,
    max_size=3,
)
TIMES = st.datetimes(timezones=st.just(UTC), min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30))  # noqa: DTZ001
DECISIONS = st.dictionaries(
    st.sampled_from([*IDS, "gone-1", "gone-2"]),
    st.builds(Decision, st.just(""), st.sampled_from(list(Status)[1:]), st.just(1), TIMES, TIMES),
)
HEADERS = st.one_of(
    st.lists(st.sampled_from([*LANGUAGES, "ru-RU", "fr", "*", "he;q=0", "en;q=0.5"]), max_size=4).map(",".join),
    st.text(max_size=20),
)
CALLS = st.lists(st.tuples(EULAS, DECISIONS, HEADERS), min_size=1, max_size=4)


def listed_of(eulas: Sequence[Eula], decisions: dict[str, Decision]) -> list[ListedEula]:
    """Returns all of a catalogue, then what the user has decided on beside it."""
    by_id: dict[str, Eula | None] = {eula.eula_id: eula for eula in eulas}
    return [
        ListedEula(eula_id, by_id.get(eula_id), decisions.get(eula_id))
        for eula_id in dict.fromkeys([*by_id, *decisions])
    ]


def message_of(listed: ListedEula, header: str) -> eulas_pb2.Eula:
    eula, decision, languages = listed.eula, listed.decision, preferred_languages(header)
    return eulas_pb2.Eula(
        eula_id=listed.eula_id,
        type=eula.type if eula else "",
        status=listed.status,
        title=text_in(eula.title, languages) if eula else "",
        text=text_in(eula.text, languages) if eula else "",
        url=eula.url if eula else "",
        rejectable=eula.rejectable if eula else False,
        valid_till=to_timestamp(decision.valid_till) if decision else None,
        updated_at=to_timestamp(decision.updated_at) if decision else None,
    )


@given(CALLS)
def test_a_list_has_the_bytes_of_one_that_is_built_message_by_message(
    calls: list[tuple[list[Eula], dict[str, Decision], str]],
) -> None:
    """Each call finds another configuration in force than the one before."""
    codec = ListCodec()
    for eulas, decisions, header in calls:
        catalogue, listed = EulaCatalogue(eulas, {}), listed_of(eulas, decisions)
        expected = api.ListEulasResponse(eulas=[message_of(one, header) for one in listed]).SerializeToString()
        for response in (api.ListEulasResponse(), api.PassengerEulasServiceListEulasResponse()):
            codec.add_eulas(response, listed, catalogue, header)
            assert response.SerializeToString() == expected


def test_one_users_decision_is_in_no_other_users_list() -> None:
    eula = Eula(eula_id="rules", type="rules", revision=1, ttl_s=1, rejectable=True, title={"en": "Rules"})
    codec, catalogue, noon = ListCodec(), EulaCatalogue([eula], {}), datetime(2026, 3, 4, 12, tzinfo=UTC)
    decisions = [
        Decision("rules", Status.ACCEPTED, 1, noon + timedelta(days=1), noon),
        None,
        Decision("rules", Status.ACCEPTED, 1, noon + timedelta(days=3), noon + timedelta(days=2)),
    ]
    for decision in [*decisions, *decisions]:
        response, listed = api.ListEulasResponse(), ListedEula("rules", eula, decision)
        codec.add_eulas(response, [listed], catalogue, "")
        assert list(response.eulas) == [message_of(listed, "")]
