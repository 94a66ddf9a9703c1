"""Stores why a difference is no reason to worry, in an operator's words; no figure and no verdict changes."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from proxy.modes import Via
from proxy.store.audit.trail import Audit, AuditEvent
from proxy.store.sql.database import Database
from proxy.store.sql.rows import has_row, upsert
from proxy.store.sql.tables import differences, explanations

MAX_REASON: Final = 300
_EVERYONE: Final = "*"


class NoSuchDifference(Exception):
    """An error: no such difference is stored, so there is nothing to explain."""


class BadReason(Exception):
    """An error: a reason is one line of 1 to MAX_REASON characters; the text says so."""


@dataclass(frozen=True, slots=True)
class DifferenceKey:
    """A difference of a route, whichever mapping or organization it was seen under."""

    route: str
    path: str
    kind: str
    control_type: str
    candidate_type: str


@dataclass(frozen=True, slots=True)
class Explanations:
    """The explanations, one for each difference: a newer one replaces the older one."""

    database: Database
    audit: Audit

    async def explain_difference(
        self, actor: str, difference: DifferenceKey, reason: str, at: datetime, via: Via | None = None
    ) -> None:
        """Writes the explanation and a row of the audit, in one transaction.

        It only annotates: `can-switch` counts the difference as before. Raises BadReason, NoSuchDifference or
        StoreError; then nothing was written.
        """
        text = reason.strip()
        if not 0 < len(text) <= MAX_REASON or not text.isprintable():
            raise BadReason(f"a reason is one line of 1 to {MAX_REASON} characters")
        key = {name: getattr(difference, name) for name in DifferenceKey.__slots__}
        values = {"reason": text, "actor": actor, "at": at}
        facts = {**key, "reason": text, **({"via": via} if via else {})}
        event = AuditEvent(
            at, actor, "difference_explained", _EVERYONE, json.dumps(facts, ensure_ascii=False)
        )

        def work(conn: Connection) -> None:
            if not has_row(conn, differences, key):
                raise NoSuchDifference
            upsert(conn, explanations, key, values)
            self.audit.append_in(conn, event)

        await self.database.write(work, found=lambda conn: has_row(conn, explanations, {**key, **values}))
