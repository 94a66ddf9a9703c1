"""Reads the audit for an operator: the filters as they write them, and the rows with names."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from proxy import jsons
from proxy.jsons import BadJson
from proxy.rollout.operations.request_filters import hash_of, moment_of
from proxy.store import Store
from proxy.store.audit.chain import AuditEvent
from proxy.store.audit.trail_search import AuditFilters
from proxy.store.sealing.sealer import shown_hash
from proxy.times import rfc3339
from proxy.values import Json

NAMES: Final = ("actor", "action", "route", "organization", "since", "until")
ALL: Final = "all"  # as an action: those of clients too

_LONGEST: Final = 300
_HASH: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class AskedAudit:
    """The filters, and the names of those that can't be read and are left out."""

    filters: AuditFilters
    unread: frozenset[str]


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A row for people. `actor` and `subject` are names or the first digits of keyed hashes.

    `is_user` says that a client's user did it. `organization` is the subject's legacy name, if it has one.
    """

    number: int
    at: datetime
    actor: str
    is_user: bool
    action: str
    subject: str
    organization: str | None = field(repr=False)
    detail: Mapping[str, Json]


def read_audit_filters(
    asked: Mapping[str, str], routes: Collection[str], actions: Sequence[str], store: Store, now: datetime
) -> AskedAudit:
    """Returns the filters; a text that is missing or "" is none.

    `since` and `until` are times of ISO 8601, in UTC without a zone, or durations back from `now`.
    """
    given = {name: asked.get(name, "").strip()[:_LONGEST] for name in NAMES}
    texts = {name: text for name, text in given.items() if text and text.isprintable()}
    moments = {name: _moment(texts[name], now) for name in ("since", "until") if name in texts}
    unread: set[str] = {name for name, moment in moments.items() if moment is None}
    known = {"route": (None, *routes), "action": (None, ALL, *actions)}
    unread |= {name for name, values in known.items() if texts.get(name) not in values}
    named = texts.get("organization")
    filters = AuditFilters(
        actor=texts.get("actor"),
        actions=None if "action" in unread else _actions(texts.get("action"), actions),
        route=None if "route" in unread else texts.get("route"),
        scope=hash_of(store, named) if named else None,
        since=moments.get("since"),
        until=moments.get("until"),
    )
    return AskedAudit(filters, frozenset(unread))


def _actions(wanted: str | None, actions: Sequence[str]) -> frozenset[str] | None:
    if wanted is None:
        return None
    return frozenset(actions) if wanted == ALL else frozenset({wanted})


def _moment(text: str, now: datetime) -> datetime | None:
    try:
        return moment_of(text, now)
    except (ValueError, OverflowError):
        return None


async def audit_rows(
    store: Store, rows: Sequence[tuple[int, AuditEvent]], in_files: Collection[str]
) -> list[AuditRow]:
    """Returns the rows with the names of organizations: those of the ledger, and of organizations.toml.

    Raises StoreError.
    """
    named = {*await store.ledger.organizations(), *in_files}
    names = {store.sealer.organization(name): name for name in named}
    return [_row(number, event, names) for number, event in rows]


def _row(number: int, event: AuditEvent, names: Mapping[str, str]) -> AuditRow:
    return AuditRow(
        number=number,
        at=event.at,
        actor=_shown(event.actor),
        is_user=_HASH.fullmatch(event.actor) is not None,
        action=event.action,
        subject=_shown(event.subject),
        organization=names.get(event.subject),
        detail=_facts(event.detail),
    )


def _shown(actor: str) -> str:
    return shown_hash(actor) if _HASH.fullmatch(actor) else actor


def _facts(detail: str) -> Mapping[str, Json]:
    found = _detail(detail)
    return found if isinstance(found, dict) else {}


def _detail(text: str) -> Json:
    """Returns a row's short JSON; a row that was written by hand is shown as it is."""
    try:
        return jsons.load(text.encode()) if text else None
    except (BadJson, UnicodeEncodeError):
        return text


def audit_json(number: int, event: AuditEvent) -> Json:
    """Returns a row for programs, whole."""
    return {
        "id": number,
        "at": rfc3339(event.at),
        "actor": event.actor,
        "action": event.action,
        "subject": event.subject,
        "detail": _detail(event.detail),
    }
