"""The statements that touch more than one partition, or rows of two keys, and why."""

from __future__ import annotations

from collections.abc import Mapping

_SWEEP = "goes through all rows whatever their key, for a job"
_USER = "finds all that there is of a user, for an export or an erasure"
_COPY = "lists all users, for the copy job"
_RIDER = "is given the rider only"
_INVITATION = "is given the invitation only"

FAN_OUT: Mapping[str, str] = {
    "ArchiveStore.assign_rows": _SWEEP,
    "ArchiveStore.batch_rows": _SWEEP,
    "ArchiveStore.count_due": _SWEEP,
    "ArchiveStore.release_rows": _SWEEP,
    "DocumentStore.list_page": _COPY,
    "EulasStore.count_expired": _SWEEP,
    "EulasStore.delete_expired": _SWEEP,
    "EulasUserData": _USER,
    "FamilyStore.delete_disbanded": _SWEEP,
    "FamilyStore.family_of": _RIDER,
    "FamilyStore.snapshot_of": _RIDER,
    "FamilyUserData": _USER,
    "InvitationStore.decline": _INVITATION,
    "InvitationStore.delete_old": _SWEEP,
    "InvitationStore.find": _INVITATION,
    "InvitationStore.insert": "looks for what its sender has sent the phone, from whatever family",
    "InvitationStore.received": "is given the phone only",
    "InvitationStore.sent_before": "is given the sender only, who may have had another family that day",
    "JobStore.add_phones": "is given the user only: an open job is the user's",
    "JobStore.claim_due": _SWEEP,
    "JobStore.delete_old": _SWEEP,
    "JobStore.open_jobs": _SWEEP,
    "LogStore.pseudonymize": _SWEEP,
    "OrderCoreUserData": _USER,
    "OrderDocumentStore.list_active": _RIDER,
    "OrderStateStore.delete_old": _SWEEP,
    "OrderStateStore.orders_of": _RIDER,
    "OrderStateUserData": _USER,
    "ProviderOrderStore.list_active": _RIDER,
    "ProviderUserData": _USER,
    "PublicationStore.overdue": _SWEEP,
    "PublicationStore.unpublished": "is given the family's number only: tasks' arguments are numbers",
    "PurgeStore.count_archived": _SWEEP,
    "PurgeStore.count_offers": _SWEEP,
    "PurgeStore.count_orders_with_kept_changes": _SWEEP,
    "PurgeStore.count_unarchived": _SWEEP,
    "PurgeStore.delete_empty_batches": _SWEEP,
    "PurgeStore.delete_log_rows": _SWEEP,
    "PurgeStore.delete_offers": _SWEEP,
    "PurgeStore.lock_finished_orders": _SWEEP,
    "ResignStore.count_riders": _SWEEP,
    "ResignStore.mark_batch": _SWEEP,
    "RetentionStore.delete_states": _SWEEP,
    "RouteSharingStore.delete_old_rides": _SWEEP,
    "RouteSharingUserData": _USER,
    "StateStore.list_page": _COPY,
    "TollRoadsUserData": _USER,
}
"""Method of a store, or a store -> why it touches more than one partition."""

_LOG = "the log names the user by a pseudonym, so that its entries lie elsewhere"

TWO_KEYS: Mapping[str, str] = {
    "EulasStore.save": _LOG,
    "EulasUserData": _LOG,
    "ImportStore.save_newer": _LOG,
    "LogStore.pseudonymize": _LOG,
}
"""Method of a store, or a store -> why one statement needs rows that lie in two places."""


def reason_for(name: str, reasons: Mapping[str, str]) -> str | None:
    """Returns the reason that is stated for a method (`Store.method`), or for its store."""
    return reasons.get(name, reasons.get(name.partition(".")[0]))
