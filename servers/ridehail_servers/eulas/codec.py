"""Messages of eulas to checks, decisions and locations, and what is listed and checked to messages."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from ridehail.eulas.v1 import eulas_api_pb2 as api
from ridehail.eulas.v1 import eulas_pb2
from ridehail_servers.chassis.locale_choice import preferred_languages, text_in
from ridehail_servers.chassis.timestamps import to_timestamp

from .decision import Status
from .eula_catalogue import Eula, EulaCatalogue, UserLocation
from .eula_filter import ListedEula
from .eula_save import NewDecision
from .eula_status import EulaCheck, EulaStatus

# Orders of the configured languages, by what callers prefer.
_MAX_ORDERS = 64


def to_location(request: api.ListEulasRequest | api.PassengerEulasServiceListEulasRequest) -> UserLocation | None:
    if not request.HasField("zone_name"):
        return None
    country = request.country if request.HasField("country") else None
    return UserLocation(request.zone_name, country, frozenset(request.tariffs))


def to_check(request: api.CheckEulasRequest | eulas_pb2.EulaCheck) -> EulaCheck:
    zone_name = request.zone_name if request.HasField("zone_name") else None
    return EulaCheck(request.yandex_uid, request.eula_ids, request.eula_types, zone_name)


def to_decisions(decisions: Iterable[eulas_pb2.EulaDecision]) -> list[NewDecision]:
    return [NewDecision(decision.eula_id, Status(decision.status)) for decision in decisions]


def add_statuses(response: api.CheckEulasResponse | eulas_pb2.EulaCheckResult, statuses: Iterable[EulaStatus]) -> None:
    """Puts statuses into a response; those of a message that is built first would be copied."""
    add = response.eulas.add
    for eula_id, eula_type, status in statuses:
        add(eula_id=eula_id, type=eula_type, status=status)


class ListCodec:
    """Puts lists into responses. What they say of an agreement is encoded once, not for each user who sees it.

    It remembers texts of one catalogue only: after a reload, those of the new one.
    """

    def __init__(self) -> None:
        self._remember(EulaCatalogue((), {}))

    def add_eulas(
        self,
        response: api.ListEulasResponse | api.PassengerEulasServiceListEulasResponse,
        listed: Iterable[ListedEula],
        catalogue: EulaCatalogue,
        accept_language: str,
    ) -> None:
        """Adds agreements of a catalogue to a response, in the languages that are preferred."""
        if catalogue is not self._catalogue:
            self._remember(catalogue)
        preferred = preferred_languages(accept_language)
        texts = self._texts(tuple([language for language in preferred if language in self._languages]))
        for one in listed:
            response.MergeFromString(texts.response_of(one))
            if one.decision is not None:
                decided = eulas_pb2.Eula(
                    valid_till=to_timestamp(one.decision.valid_till), updated_at=to_timestamp(one.decision.updated_at)
                )
                response.eulas[-1].MergeFrom(decided)

    def _remember(self, catalogue: EulaCatalogue) -> None:
        self._catalogue = catalogue
        self._languages = frozenset(
            language for eula in catalogue.eulas for texts in (eula.title, eula.text) for language in texts
        )
        self._texts = lru_cache(maxsize=_MAX_ORDERS)(_Texts)


class _Texts:
    """What lists say of each agreement in one order of languages, but for the time of the decision."""

    def __init__(self, languages: tuple[str, ...]) -> None:
        self._languages = languages
        self._encoded: dict[tuple[str, Status], bytes] = {}

    def response_of(self, listed: ListedEula) -> bytes:
        """Returns an encoded response of one agreement: such that are merged are one response of all."""
        key = (listed.eula_id, listed.status)
        encoded = self._encoded.get(key)
        if encoded is None:
            encoded = api.ListEulasResponse(eulas=[self._eula(*key, listed.eula)]).SerializeToString()
            # Those that have left the configuration have no texts, and there may be any number of them.
            if listed.eula is not None:
                self._encoded[key] = encoded
        return encoded

    def _eula(self, eula_id: str, status: Status, eula: Eula | None) -> eulas_pb2.Eula:
        if eula is None:
            return eulas_pb2.Eula(eula_id=eula_id, status=status)
        return eulas_pb2.Eula(
            eula_id=eula_id,
            type=eula.type,
            status=status,
            title=text_in(eula.title, self._languages),
            text=text_in(eula.text, self._languages),
            url=eula.url,
            rejectable=eula.rejectable,
        )
