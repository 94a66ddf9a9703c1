"""Searches the audit trail, newest rows first, without reading all of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, func, or_, select

from proxy.store.audit.chain import AuditEvent
from proxy.store.sql.database import Database
from proxy.store.sql.tables import audit

# What clients cause, a row for each user, case and day: far more rows than operators cause.
OF_CLIENTS: Final = frozenset({"case_accessed", "first_user", "first_organization"})
# So many of those rows are read for one part of the list at most.
_WINDOW: Final = 50_000
_COLUMNS: Final = [audit.c[name] for name in ("id", "at", "actor", "action", "subject", "detail")]


@dataclass(frozen=True, slots=True)
class AuditFilters:
    """The filters of a search; None is no filter. `actions` None leaves out those of clients.

    `scope` is an organization's keyed hash, `since` the first moment, `until` the first one after the last.
    """

    actor: str | None = None
    actions: frozenset[str] | None = None
    route: str | None = None
    scope: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditPart:
    """A part of the list. `before` is the number before which the next part begins, None at the end.

    A part may have fewer rows than it could, although older ones follow.
    """

    rows: Sequence[tuple[int, AuditEvent]]
    before: int | None


@dataclass(frozen=True, slots=True)
class TrailSearch:
    """The audit's rows for a reader. Numbers and times go up together."""

    database: Database

    async def actions(self) -> list[str]:
        """Returns the actions that there are, by their names."""
        return await self.database.read(_actions)

    async def end(self) -> tuple[int, str] | None:
        """Returns the number and the hash of the chain's newest row; None if there is none."""
        query = select(audit.c.id, audit.c.hash).order_by(audit.c.id.desc()).limit(1)
        row = await self.database.lookup(lambda conn: conn.execute(query).first())
        return (row.id, row.hash) if row is not None and row.hash else None

    async def part(self, filters: AuditFilters, limit: int, before: int | None = None) -> AuditPart:
        """Returns at most `limit` rows older than the row `before`, newest first."""
        return await self.database.read(lambda conn: _part(conn, filters, limit, before))


def _part(conn: Connection, filters: AuditFilters, limit: int, before: int | None) -> AuditPart:
    wanted = filters.actions if filters.actions is not None else frozenset(_actions(conn)) - OF_CLIENTS
    newest = (conn.execute(select(func.max(audit.c.id))).scalar_one() or 0) + 1
    end = min(newest if before is None else before, _first_at(conn, filters.until, newest))
    begin = _first_at(conn, filters.since, newest) if filters.since else 0
    is_rare = wanted.isdisjoint(OF_CLIENTS)
    reached = begin if is_rare else max(begin, end - _WINDOW)
    query = select(*_COLUMNS).where(audit.c.id < end, audit.c.id >= reached, *_conditions(filters))
    query = query.where(_in_index(wanted) if is_rare else _beside_index(wanted))
    rows = [(row.id, AuditEvent(*row[1:])) for row in conn.execute(_newest_first(query, limit + 1))]
    if len(rows) > limit:
        return AuditPart(rows[:limit], rows[limit - 1][0])
    return AuditPart(rows, reached if reached > max(begin, 1) else None)


def _newest_first(query: Select[Any], limit: int) -> Select[Any]:
    return query.order_by(audit.c.id.desc()).limit(limit)


def _in_index(actions: frozenset[str]) -> ColumnElement[bool]:
    return audit.c.action.in_(sorted(actions))


def _beside_index(actions: frozenset[str]) -> ColumnElement[bool]:
    # The index would find millions of rows, which then had to be sorted.
    return func.coalesce(audit.c.action, "").in_(sorted(actions))


def _conditions(filters: AuditFilters) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if filters.actor is not None:
        found.append(audit.c.actor == filters.actor)
    if filters.scope is not None:
        found.append(audit.c.subject == filters.scope)
    if filters.route is not None:
        # The detail is short JSON, with and without a blank.
        spellings = (f'"route": "{filters.route}"', f'"route":"{filters.route}"')
        found.append(or_(*(audit.c.detail.contains(each, autoescape=True) for each in spellings)))
    return found


def _actions(conn: Connection) -> list[str]:
    """Returns the actions by steps through their index: there are few of them in many rows."""
    found: list[str] = []
    while True:
        after = audit.c.action > (found[-1] if found else "")
        following = conn.execute(select(func.min(audit.c.action)).where(after)).scalar_one()
        if following is None:
            return found
        found.append(following)


def _first_at(conn: Connection, at: datetime | None, newest: int) -> int:
    """Returns the number of the first row at or after this time, by halving; `newest` without one."""
    if at is None:
        return newest
    low, high = 0, newest
    while low < high:
        middle = (low + high) // 2
        found = conn.execute(
            select(audit.c.id, audit.c.at).where(audit.c.id >= middle).order_by(audit.c.id).limit(1)
        )
        row = found.first()
        if row is None or row.at >= at:
            high = middle
        else:
            low = row.id + 1
    return low
