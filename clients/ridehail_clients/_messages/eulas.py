"""Requests and answers of eulas."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import grpc

from ridehail.eulas.v1 import eulas_api_pb2 as api
from ridehail.eulas.v1.eulas_pb2 import Eula as EulaMessage
from ridehail.eulas.v1.eulas_pb2 import EulaDecision as EulaDecisionMessage
from ridehail.eulas.v1.eulas_pb2 import EulaStatus as EulaStatusMessage
from ridehail_clients._messages.fields import from_timestamp, to_strings, to_timestamp
from ridehail_clients.errors import ServiceError
from ridehail_clients.models import Eula, EulaDecision, EulaFilter, EulaState, EulaStatus


def list_eulas_request(
    *,
    yandex_uid: str,
    filter: EulaFilter,  # noqa: A002  # the contract's word
    zone_name: str | None,
    country: str | None,
    tariffs: Sequence[str],
    locale: str,
) -> api.ListEulasRequest:
    """Builds the request of EulasService.ListEulas."""
    return api.ListEulasRequest(
        yandex_uid=yandex_uid,
        filter=filter,
        zone_name=zone_name,
        country=country,
        tariffs=to_strings("tariffs", tariffs),
        locale=locale,
    )


def passenger_list_eulas_request(
    *,
    filter: EulaFilter,  # noqa: A002  # the contract's word
    zone_name: str | None,
    country: str | None,
    tariffs: Sequence[str],
) -> api.PassengerEulasServiceListEulasRequest:
    """Builds the request of PassengerEulasService.ListEulas."""
    return api.PassengerEulasServiceListEulasRequest(
        filter=filter, zone_name=zone_name, country=country, tariffs=to_strings("tariffs", tariffs)
    )


def save_eulas_request(*, yandex_uid: str, eulas: Iterable[EulaDecision]) -> api.SaveEulasRequest:
    """Builds the request of EulasService.SaveEulas."""
    return api.SaveEulasRequest(yandex_uid=yandex_uid, eulas=_decisions(eulas))


def passenger_save_eulas_request(eulas: Iterable[EulaDecision]) -> api.PassengerEulasServiceSaveEulasRequest:
    """Builds the request of PassengerEulasService.SaveEulas."""
    return api.PassengerEulasServiceSaveEulasRequest(eulas=_decisions(eulas))


def check_eulas_request(
    *, yandex_uid: str, eula_ids: Sequence[str], eula_types: Sequence[str], zone_name: str | None
) -> api.CheckEulasRequest:
    """Builds the request of CheckEulas."""
    return api.CheckEulasRequest(
        yandex_uid=yandex_uid,
        eula_ids=to_strings("eula_ids", eula_ids),
        eula_types=to_strings("eula_types", eula_types),
        zone_name=zone_name,
    )


def eulas(messages: Iterable[EulaMessage]) -> tuple[Eula, ...]:
    """Reads agreements.

    Raises:
        ServiceError: A status is none of the contract's.
    """
    return tuple(_eula(one) for one in messages)


def eula_statuses(messages: Iterable[EulaStatusMessage]) -> tuple[EulaStatus, ...]:
    """Reads the answer of CheckEulas.

    Raises:
        ServiceError: A status is none of the contract's.
    """
    return tuple(EulaStatus(eula_id=one.eula_id, type=one.type, status=_state(one.status)) for one in messages)


def eulas_to_bytes(kept: Iterable[Eula]) -> bytes:
    """Writes agreements as bytes that a later release can read."""
    return api.ListEulasResponse(eulas=[_message(one) for one in kept]).SerializeToString()


def eulas_from_bytes(written: bytes) -> tuple[Eula, ...]:
    """Reads what `eulas_to_bytes` wrote.

    Raises:
        DecodeError: These are no such bytes.
        ServiceError: A status is none of the contract's.
    """
    return eulas(api.ListEulasResponse.FromString(written).eulas)


def _message(eula: Eula) -> EulaMessage:
    return EulaMessage(
        eula_id=eula.eula_id,
        type=eula.type,
        status=eula.status,
        title=eula.title,
        text=eula.text,
        url=eula.url,
        rejectable=eula.rejectable,
        valid_till=None if eula.valid_till is None else to_timestamp("valid_till", eula.valid_till),
        updated_at=None if eula.updated_at is None else to_timestamp("updated_at", eula.updated_at),
    )


def _decisions(decisions: Iterable[EulaDecision]) -> list[EulaDecisionMessage]:
    return [EulaDecisionMessage(eula_id=one.eula_id, status=one.status) for one in decisions]


def _eula(message: EulaMessage) -> Eula:
    return Eula(
        eula_id=message.eula_id,
        type=message.type,
        status=_state(message.status),
        title=message.title,
        text=message.text,
        url=message.url,
        rejectable=message.rejectable,
        valid_till=from_timestamp(message.valid_till) if message.HasField("valid_till") else None,
        updated_at=from_timestamp(message.updated_at) if message.HasField("updated_at") else None,
    )


def _state(status: str) -> EulaState:
    try:
        return EulaState(status)
    except ValueError as error:
        raise ServiceError(
            grpc.StatusCode.INTERNAL, message=f"the answer has a status that the contract does not know: {status!r}"
        ) from error
