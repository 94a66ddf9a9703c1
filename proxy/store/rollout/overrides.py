"""Stores the overrides: every change of a route's mode, numbered and only added, each with an audit row."""

import json
import unicodedata
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select

from proxy.modes import (
    EVERYONE,
    BadChange,
    Change,
    Override,
    Overrides,
    Via,
    as_json,
    overrides_of,
    setting_of,
    validate,
)
from proxy.store.audit.trail import Audit, AuditEvent
from proxy.store.errors import StoreError
from proxy.store.rollout.override_queries import (
    change_before,
    current_revision,
    newest_change,
    of_route,
    uncovered,
)
from proxy.store.sealing.contexts import SealedColumn
from proxy.store.sealing.sealer import Sealer
from proxy.store.sql.database import Database, Turn, Work
from proxy.store.sql.dialects import OVERRIDDEN, notify
from proxy.store.sql.rows import has_row, rows_of
from proxy.store.sql.tables import overrides

__all__ = ["Change", "NothingToUndo", "OverrideStore", "StaleRevision", "Unchanged"]

MOST_BETWEEN: Final = 1_000  # a chart with more lines shows nothing

_TURN: Final[Turn] = ("overrides",)
_ORGANIZATION: Final = SealedColumn(overrides.c.organization)
# The fields that the audit stores beside its own columns.
_AUDITED: Final = frozenset({"revision", "route", "mode", "percent", "until", "reason", "undoes"})


class StaleRevision(Exception):
    """An error: somebody else made a change meanwhile; nothing was written."""

    def __init__(self, current: int) -> None:
        super().__init__(f"the overrides are at revision {current}")
        self.current = current


class Unchanged(Exception):
    """An error: the change is in force already, by `override`; None when there was nothing to clear."""

    def __init__(self, revision: int, override: Override | None) -> None:
        super().__init__(f"revision {revision} says so already")
        self.revision = revision
        self.override = override


class NothingToUndo(Exception):
    """An error: there was no change, or each was rolled back already."""


@dataclass(frozen=True, slots=True)
class OverrideStore:
    """The overrides, one row for each change; revisions count up by 1 over all routes."""

    database: Database
    sealer: Sealer
    audit: Audit

    async def load(self) -> Overrides:
        """Returns all overrides in force, and those that will be once the ones that cover them end."""

        def work(conn: Connection) -> tuple[int, list[Row[Any]]]:
            return current_revision(conn), list(conn.execute(uncovered()))

        revision, rows = await self.database.read(work)
        return Overrides(revision, overrides_of(map(self._read, rows)).stacks)

    async def revision(self) -> int:
        """Returns the revision of the newest change; 0 before the first."""
        return await self.database.lookup(current_revision)

    async def change(
        self, change: Change, *, expected: int | None, at: datetime, anew: bool = True
    ) -> Override:
        """Writes the change.

        Raises StaleRevision when the revision `expected` is not the newest any more: of two callers who saw
        the same state one wins. Raises BadChange when the change is not allowed. Unless `anew`, raises
        Unchanged when the change is in force already: a rollback of a change without effect does nothing.
        """
        override = self.planned(change, at)

        def work(conn: Connection) -> Override:
            if not anew:
                self._refuse_equal(conn, override, expected)
            return self._write(conn, override, expected, change.via)

        return await self._changed(work)

    def planned(self, change: Change, at: datetime) -> Override:
        """Returns the override that `change` would write, without a revision; writes nothing.

        Raises BadChange when the change is not allowed.
        """
        validate(change, at)
        name = change.organization and unicodedata.normalize("NFC", change.organization)
        scope = self.sealer.organization(name) if name else EVERYONE
        return _override(replace(change, organization=name), scope, at)

    def _refuse_equal(self, conn: Connection, draft: Override, expected: int | None) -> None:
        revision = current_revision(conn)
        _refuse_stale(revision, expected)
        stacks = overrides_of(map(self._read, conn.execute(uncovered())))
        before = stacks.standing(draft.route, draft.scope, draft.at)
        if setting_of(before) == setting_of(draft):
            raise Unchanged(revision, before)

    async def roll_back(
        self,
        *,
        actor: str,
        reason: str,
        at: datetime,
        route: str | None = None,
        expected: int | None = None,
        via: Via | None = None,
    ) -> Override:
        """Undoes the newest change (of the route, if one is named) that is not undone yet.

        Afterwards the change is in force that would be without it. Raises NothingToUndo when there is no such
        change, and the errors of `change`.
        """

        def work(conn: Connection) -> Override:
            return self._write(conn, self._undoing(conn, actor, reason, at, route), expected, via)

        return await self._changed(work)

    async def undo(
        self, revision: int, *, actor: str, reason: str, at: datetime, via: Via | None = None
    ) -> Override:
        """Undoes the newest change, which must have this revision; a rollback is undone by its change again.

        Raises StaleRevision when it is not the newest, NothingToUndo when there is none, and BadChange when
        what comes back has ended.
        """

        def work(conn: Connection) -> Override:
            _refuse_stale(current_revision(conn), revision)
            row = conn.execute(select(overrides).where(overrides.c.revision == revision)).one_or_none()
            if row is None:
                raise NothingToUndo
            if row.undoes is None:
                return self._write(conn, self._undoing(conn, actor, reason, at, row.route), revision, via)
            undone = self._read(
                conn.execute(select(overrides).where(overrides.c.revision == row.undoes)).one()
            )
            again = replace(undone, revision=0, at=at, actor=actor, reason=reason, undoes=None)
            if again.until is not None and again.until <= at:
                raise BadChange("what would come back has ended")
            return self._write(conn, again, revision, via)

        return await self._changed(work)

    async def planned_rollback(
        self, *, actor: str, reason: str, at: datetime, route: str | None = None
    ) -> Override:
        """Returns the override that `roll_back` would write, without a revision; writes nothing.

        Raises its errors.
        """
        return await self.database.read(lambda conn: self._undoing(conn, actor, reason, at, route))

    def _undoing(
        self, conn: Connection, actor: str, reason: str, at: datetime, route: str | None
    ) -> Override:
        row = newest_change(conn, route)
        if row is None:
            raise NothingToUndo
        undone = self._read(row)
        before = change_before(conn, row, at)
        change = Change(
            actor=actor,
            route=undone.route,
            organization=undone.organization,
            mode=before.mode if before else None,
            percent=before.percent if before else None,
            until=before.until if before else None,
            reason=reason,
        )
        validate(change, at)
        return _override(change, undone.scope, at, undone.revision)

    async def history(
        self, *, limit: int = 100, route: str | None = None, before: int | None = None
    ) -> list[Override]:
        """Returns the changes (of the route, if one is named), newest first; those older than `before`."""
        query = of_route(select(overrides), route).limit(limit)
        if before is not None:
            query = query.where(overrides.c.revision < before)
        return [self._read(row) for row in await self.database.read(rows_of(query))]

    async def between(self, since: datetime, until: datetime, *, route: str | None = None) -> list[Override]:
        """Returns the changes (of the route, if one is named) from `since` on and before `until`, in order.

        Of more than MOST_BETWEEN only the newest are returned.
        """
        within = (overrides.c.at >= since, overrides.c.at < until)
        query = of_route(select(overrides), route).where(*within).limit(MOST_BETWEEN)
        return [self._read(row) for row in reversed(await self.database.read(rows_of(query)))]

    async def _changed(self, work: Work[Override]) -> Override:
        """Runs a work that adds a change; no other one is made between what it reads and writes."""
        written: list[Override] = []

        def noting(conn: Connection) -> Override:
            written[:] = [work(conn)]
            return written[0]

        def found(conn: Connection) -> bool:
            return has_row(conn, overrides, _identity(written[0]))

        return await self.database.write(noting, turns=[_TURN], found=found)

    def _write(self, conn: Connection, draft: Override, expected: int | None, via: Via | None) -> Override:
        """Writes both rows, the change's and the audit's, in the transaction that gives the revision."""
        current = current_revision(conn)
        _refuse_stale(current, expected)
        override = replace(draft, revision=current + 1)
        conn.execute(insert(overrides).values(self._columns(override)))
        self.audit.append_in(conn, _event(override, via))
        notify(conn, OVERRIDDEN)
        return override

    def _columns(self, override: Override) -> dict[str, Any]:
        columns = {name: getattr(override, name) for name in Override.__slots__}
        name, context = override.organization, _ORGANIZATION.at(override.revision)
        return {**columns, "organization": None if name is None else self.sealer.seal_text(name, context)}

    def _read(self, row: Row[Any]) -> Override:
        return Override(**{**row._asdict(), "organization": self._name(row.organization, row.revision)})

    def _name(self, sealed: bytes | None, revision: int) -> str | None:
        """Returns the organization's name; None also when its key is gone.

        An override is in force by its scope, and outlives keys.
        """
        try:
            return None if sealed is None else self.sealer.open_text(sealed, _ORGANIZATION.at(revision))
        except StoreError:
            return None


def _identity(override: Override) -> dict[str, Any]:
    """Returns what identifies this very change: another process may have got the same revision meanwhile."""
    names = ("revision", "at", "actor", "route", "scope", "reason")
    return {name: getattr(override, name) for name in names}


def _refuse_stale(current: int, expected: int | None) -> None:
    if expected is not None and expected != current:
        raise StaleRevision(current)


def _override(change: Change, scope: str, at: datetime, undoes: int | None = None) -> Override:
    """Returns the change as it will be written; its revision is not given yet."""
    return Override(
        revision=0,
        at=at,
        actor=change.actor,
        route=change.route,
        scope=scope,
        organization=change.organization,
        mode=change.mode,
        percent=change.percent,
        until=change.until and change.until.astimezone(UTC),
        reason=change.reason,
        undoes=undoes,
    )


def _event(override: Override, via: Via | None) -> AuditEvent:
    """Returns the audit's event; it has only the organization's hash, for nobody can remove an audit row."""
    action = "mode_rolled_back" if override.undoes else "mode_set" if override.mode else "mode_cleared"
    facts = {name: each for name, each in as_json(override).items() if name in _AUDITED and each is not None}
    facts |= {"via": via} if via else {}
    detail = json.dumps(facts, ensure_ascii=False)
    return AuditEvent(override.at, override.actor, action, override.scope, detail)
