"""Makes the audit's rows on access: who opened which case, on which day and by which route; no contents."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final, TypeAlias

from sqlalchemy import Connection, select

from proxy.store.audit.chain import AuditEvent
from proxy.store.sql.rows import batches
from proxy.store.sql.tables import audit, owner_aliases

_ACTION: Final = "case_accessed"

# The day in UTC, the user, the case and the route, as the audit stores them.
_Key: TypeAlias = tuple[date, str, str, str]


@dataclass(frozen=True, slots=True)
class Access:
    """A user's answered call on a case, both by their keyed hashes (`Sealer.owner`, `Sealer.case`).

    A call on all of the user's cases, as the list is, has the user's hash as `case` too.
    """

    owner: str
    case: str
    route: str
    at: datetime


def first_of_day(conn: Connection, accesses: Sequence[Access]) -> list[AuditEvent]:
    """Returns the events that the audit lacks: each user, case and route once a day, however many calls."""
    first: dict[_Key, AuditEvent] = {}
    for access in accesses:
        event = _event(access)
        first.setdefault(_key(event), event)
    noted = _noted(conn, list(first.values()))
    return [event for key, event in first.items() if key not in noted]


def _noted(conn: Connection, events: Sequence[AuditEvent]) -> set[_Key]:
    if not events:
        return set()
    since = datetime.combine(min(event.at.astimezone(UTC) for event in events), time(), UTC)
    now = _moved(conn, sorted({event.actor for event in events}))
    query = select(audit.c.at, audit.c.actor, audit.c.action, audit.c.subject, audit.c.detail)
    recent = query.where(audit.c.action == _ACTION, audit.c.at >= since)
    noted: set[_Key] = set()
    for subjects in batches(sorted({event.subject for event in events} | now.keys())):
        for row in conn.execute(recent.where(audit.c.subject.in_(subjects))):
            actor, subject = (now.get(each, each) for each in (row.actor, row.subject))
            noted.add(_key(AuditEvent(row.at, actor, row.action, subject, row.detail)))
    return noted


def _moved(conn: Connection, owners: Sequence[str]) -> Mapping[str, str]:
    """Returns each hash that these owners had in earlier releases, with the one that they have now (N06)."""
    moved: dict[str, str] = {}
    for batch in batches(owners):
        query = select(owner_aliases).where(owner_aliases.c.owner.in_(batch))
        moved |= {row.alias: row.owner for row in conn.execute(query)}
    return moved


def _event(access: Access) -> AuditEvent:
    return AuditEvent(access.at, access.owner, _ACTION, access.case, json.dumps({"route": access.route}))


def _key(event: AuditEvent) -> _Key:
    return event.at.astimezone(UTC).date(), event.actor, event.subject, event.detail
