"""Removes data that is older than its retention (CONTRACT U06; MICHIQ_CONTENT_DAYS, MICHIQ_AUDIO_DAYS)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, func, or_, select

from proxy.store.audit.request_traces import delete_stories_before
from proxy.store.audit.usage import delete_calls_before
from proxy.store.blobs.protocol import Blobs
from proxy.store.records.deliveries import DELIVERY_LIFE, delete_deliveries_before
from proxy.store.records.homes import delete_homes_before
from proxy.store.records.journal import Journal, delete_closed_before
from proxy.store.records.sessions import delete_expired
from proxy.store.rollout.canary_counts import delete_old_canary_counts
from proxy.store.rollout.contract_runs import delete_runs_before
from proxy.store.rollout.evidence import delete_evidence_before
from proxy.store.rollout.page_sessions import delete_sessions_before
from proxy.store.rollout.series import delete_old_series
from proxy.store.sql.changes import delete_changes, note_change
from proxy.store.sql.database import Database
from proxy.store.sql.memory import ALL
from proxy.store.sql.rows import batches, upsert
from proxy.store.sql.tables import (
    cases,
    chunks,
    conversations,
    links,
    meta,
    processes,
    recordings,
    reports,
    transcriptions,
)

_ANSWERS: Final = timedelta(hours=24)  # for so long an Idempotency-Key is remembered (N17)
_EVIDENCE: Final = timedelta(days=400)  # longer than a year, so that a client that calls once a year counts
_CHANGES: Final = 10_000  # far more than are noted between two reads of a process
_SWEPT: Final = "swept_at"
_ORPHANS: Final = timedelta(days=1)  # an upload still under way has its blob before its row


@dataclass(frozen=True, slots=True)
class Swept:
    """The counts of what one sweep removed."""

    cases: int
    recordings: int
    blobs: int
    unsent: int = 0  # webhooks that the operator's consumer never took


@dataclass(frozen=True, slots=True)
class Retention:
    """Sweeps the store. Rows go first: a sweep that is cut short leaves orphaned blobs to the next one."""

    database: Database
    journal: Journal
    blobs: Blobs

    async def sweep(self, now: datetime, content_days: int, audio_days: int) -> Swept:
        """Removes texts and audio past their days, ended sessions, old answers and evidence, orphaned blobs.

        The records of what operators did, audit and overrides, are never removed.
        """
        removed_cases = await self._sweep_content(now - timedelta(days=content_days), now)
        unsent = await self._sweep_deliveries(now - DELIVERY_LIFE)
        await self._sweep_evidence(now)
        await self.journal.forget_before(now - _ANSWERS)
        removed_recordings, names = await self._sweep_audio(now - timedelta(days=audio_days))
        await self._delete(names)
        orphans = await self._orphans(now - _ORPHANS)
        await self._delete(orphans)
        await self.blobs.abort_uploads(now - _ORPHANS)
        await self._note(now)
        return Swept(removed_cases, removed_recordings, len(names) + len(orphans), unsent)

    async def last_active(self) -> datetime | None:
        """Returns the time of the last sweep, else of a process's last heartbeat; None in a new store."""

        def work(conn: Connection) -> datetime | None:
            if swept := _last_sweep(conn):
                return swept
            seen: datetime | None = conn.execute(select(func.max(processes.c.seen_at))).scalar_one()
            return seen

        return await self.database.read(work)

    async def last_sweep(self) -> datetime | None:
        """Returns the time of the last sweep; None before the first."""
        return await self.database.read(_last_sweep)

    async def _note(self, at: datetime) -> None:
        value = {"value": at.isoformat().encode()}
        await self.database.write(lambda conn: upsert(conn, meta, {"name": _SWEPT}, value))

    async def _sweep_content(self, before: datetime, now: datetime) -> int:
        def work(conn: Connection) -> int:
            old = select(cases.c.id).where(cases.c.created_at < before)
            conn.execute(delete(conversations).where(conversations.c.case_id.in_(old)))
            conn.execute(delete(links).where(links.c.case_id.in_(old)))
            of_old = or_(reports.c.received_at < before, reports.c.case_id.in_(old))
            conn.execute(delete(reports).where(of_old))
            conn.execute(delete(transcriptions).where(transcriptions.c.created_at < before))
            gone = delete_expired(conn, now) + delete_homes_before(conn, before, now)
            delete_stories_before(conn, before, now)
            delete_closed_before(conn, before)
            removed = conn.execute(delete(cases).where(cases.c.created_at < before)).rowcount
            if removed or gone:
                note_change(conn, ALL)
            delete_changes(conn, keep=_CHANGES)
            return removed

        return await self.database.write(work)

    async def _sweep_deliveries(self, before: datetime) -> int:
        return await self.database.write(lambda conn: delete_deliveries_before(conn, before))

    async def _sweep_evidence(self, now: datetime) -> None:
        before = now - _EVIDENCE

        def work(conn: Connection) -> None:
            delete_old_canary_counts(conn, now)
            delete_old_series(conn, now)
            delete_evidence_before(conn, before)
            delete_calls_before(conn, before)
            delete_runs_before(conn, before)
            delete_sessions_before(conn, now)

        await self.database.write(work)

    async def _sweep_audio(self, before: datetime) -> tuple[int, list[str]]:
        def work(conn: Connection) -> tuple[int, list[str]]:
            old = recordings.c.created_at < before
            names = conn.execute(select(chunks.c.blob).join(recordings).where(old))
            blobs = list(names.scalars())
            return conn.execute(delete(recordings).where(old)).rowcount, blobs

        return await self.database.write(work)

    async def _delete(self, names: Sequence[str]) -> None:
        for name in names:
            await self.blobs.delete(name)

    async def _orphans(self, before: datetime) -> list[str]:
        names = await self.blobs.stale(before)

        def work(conn: Connection) -> set[str]:
            found: set[str] = set()
            for batch in batches(names):
                found |= _with_a_row(conn, batch)
            return found

        with_rows = await self.database.read(work)
        return [name for name in names if name not in with_rows]


def _last_sweep(conn: Connection) -> datetime | None:
    swept = select(meta.c.value).where(meta.c.name == _SWEPT)
    stored = conn.execute(swept).scalar_one_or_none()
    return None if stored is None else datetime.fromisoformat(stored.decode())


def _with_a_row(conn: Connection, names: Sequence[str]) -> set[str]:
    return set(conn.execute(select(chunks.c.blob).where(chunks.c.blob.in_(names))).scalars())
