"""Copies a stopped store into an empty one, in steps that can be cut short, and then compares both."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from sqlalchemy import Connection, Table

from proxy.store.audit.chain import AuditVerdict, verify
from proxy.store.blobs.protocol import Blobs
from proxy.store.copy_note import CopyNote, read_note, remove_note, write_note
from proxy.store.errors import StoreError
from proxy.store.sealing.sealer import PEPPER_TURN, Sealer, existing_sealer, stored_pepper
from proxy.store.sql.database import Database, runs_again
from proxy.store.stillness import Check
from proxy.store.upkeep import copying_blobs, copying_rows
from proxy.store.upkeep.copying_rows import TABLES
from proxy.store.upkeep.pages import Key

STEPS: Final = ("rows copied", "recordings copied", "rows compared", "recordings compared")


@dataclass(frozen=True, slots=True)
class Part:
    """One of the two stores of a copy. `check` raises StoreError when it is not this process's any more."""

    database: Database
    blobs: Blobs
    check: Check


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of one step, counted from 0: how many rows or blobs, and bytes, are done, of how many."""

    step: int
    done: int
    of: int
    bytes_done: int = 0
    bytes_of: int = 0

    def after(self, done: int, size: int = 0) -> "Progress":
        return replace(self, done=self.done + done, bytes_done=self.bytes_done + size)


@dataclass(frozen=True, slots=True)
class Copied:
    """The result of a copy.

    `lacking` blobs have rows, and are missing in the source, too. `audit` is the verdict on both audits.
    """

    rows: int
    blobs: int
    size: int
    lacking: int
    audit: AuditVerdict


@dataclass(frozen=True, slots=True)
class Copying:
    """The copy of one store into another one. Nobody writes to either while it runs."""

    source: Part
    target: Part
    keys: Sequence[str]

    async def run(self, report: Callable[[Progress], None]) -> Copied:
        """Copies what is not copied yet, compares all, and lets the target be served.

        Raises StoreError when the target may not be written, or is not the same in the end. Then the target
        can't be served, and a further run goes on.
        """
        fingerprint = await self.source.database.read(_fingerprint)
        sealer = await self.source.database.read(partial(_sealer, keys=self.keys))
        begun = partial(_begun, fingerprint=fingerprint)
        note = await self.target.database.write(begun, turns=[PEPPER_TURN], found=runs_again)
        note = await self._copy_rows(note, report)
        await self._copy_blobs(note, report)
        try:
            rows = await self._compare_rows(report)
            blobs, size, lacking = await self._compare_blobs(report)
            audit = await self._compare_audits(sealer)
        except StoreError:
            # The next run looks at all again, and copies what is missing.
            await self._note(_start(fingerprint))
            raise
        await self._finish()
        return Copied(rows, blobs, size, lacking, audit)

    async def _copy_rows(self, note: CopyNote, report: Callable[[Progress], None]) -> CopyNote:
        if note.phase != "rows":
            return note
        at = [table.name for table in TABLES].index(note.table)
        progress = Progress(0, await self._rows_before(at, note.after or None), await self._rows())
        for table in TABLES[at:]:
            after = note.after or None if table.name == note.table else None
            while page := await self.source.database.read(
                partial(copying_rows.next_page, table=table, after=after)
            ):
                note = replace(note, table=table.name, after=page.last)
                write = partial(copying_rows.write_page, page=page, note=note)
                await self.target.database.write(write, found=runs_again)
                after, progress = page.last, progress.after(len(page.rows))
                report(progress)
        highest = await self.source.database.read(copying_rows.highest_numbers)
        ending = partial(copying_rows.end_rows, highest=highest)
        await self.target.database.write(ending, found=runs_again)
        await self._check()
        note = CopyNote(note.source, "blobs", "chunks")
        await self._note(note)
        return note

    async def _copy_blobs(self, note: CopyNote, report: Callable[[Progress], None]) -> None:
        after = note.after or None
        read = self.source.database.read
        done = (0, 0) if after is None else await read(partial(copying_blobs.total, up_to=after))
        of = await read(copying_blobs.total)
        progress = Progress(1, done[0], of[0], done[1], of[1])
        while page := await read(partial(copying_blobs.next_blobs, after=after)):
            await copying_blobs.copy_blobs(self.source.blobs, self.target.blobs, page.names)
            note, after = replace(note, after=page.last), page.last
            await self._note(note)
            progress = progress.after(len(page.names), page.size)
            report(progress)
        await self._check()

    async def _compare_rows(self, report: Callable[[Progress], None]) -> int:
        progress = Progress(2, 0, await self._rows())
        for table in TABLES:
            after: Key | None = None
            while page := await self.source.database.read(
                partial(copying_rows.next_page, table=table, after=after)
            ):
                there = await self.target.database.read(partial(copying_rows.same_rows, page=page))
                if difference := copying_rows.first_difference(page, there):
                    raise StoreError(f"{difference}; empty the target, and run this again")
                after, progress = page.last, progress.after(len(page.rows))
                report(progress)
            await self._compare_counts(table)
        return progress.done

    async def _compare_counts(self, table: Table) -> None:
        counting = partial(copying_rows.count, table=table)
        here, there = [await each.database.read(counting) for each in (self.source, self.target)]
        if here != there:
            raise StoreError(
                f"the target has {there} rows in {table.name}, and the source {here}; empty the target, and "
                "run this again"
            )

    async def _compare_blobs(self, report: Callable[[Progress], None]) -> tuple[int, int, int]:
        """Returns how many blobs there are, their size, and how many are lacking."""
        of = await self.source.database.read(copying_blobs.total)
        progress, lacking = Progress(3, 0, of[0], 0, of[1]), 0
        after: Key | None = None
        while page := await self.source.database.read(partial(copying_blobs.next_blobs, after=after)):
            lacking += await copying_blobs.compare_blobs(self.source.blobs, self.target.blobs, page.names)
            after, progress = page.last, progress.after(len(page.names), page.size)
            report(progress)
        return progress.done, progress.bytes_done, lacking

    async def _compare_audits(self, sealer: Sealer) -> AuditVerdict:
        verifying = partial(verify, sealer=sealer)
        here, there = [await each.database.read(verifying) for each in (self.source, self.target)]
        if here != there:
            raise StoreError(f"the audit of the target is not the source's: {there.reason}")
        return there

    async def _finish(self) -> None:
        await self._check()
        await self.target.database.write(remove_note, found=runs_again)

    async def _check(self) -> None:
        await self.source.check()
        await self.target.check()

    async def _note(self, note: CopyNote) -> None:
        await self.target.database.write(partial(write_note, note=note), found=runs_again)

    async def _rows(self) -> int:
        return await self._rows_before(len(TABLES), None)

    async def _rows_before(self, tables: int, up_to: Key | None) -> int:
        """Returns the rows of the first tables, and those of the next table up to a key."""

        def work(conn: Connection) -> int:
            whole = sum(copying_rows.count(conn, table) for table in TABLES[:tables])
            return whole if up_to is None else whole + copying_rows.count(conn, TABLES[tables], up_to)

        return await self.source.database.read(work)


def _fingerprint(conn: Connection) -> str:
    """Returns a digest by which a copy that has begun finds its source again. Raises StoreError."""
    if read_note(conn) is not None:
        raise StoreError("the source is itself a copy that is not finished")
    pepper = stored_pepper(conn)
    if pepper is None:
        raise StoreError("the source has never been used: there is nothing to copy")
    return hashlib.sha256(pepper).hexdigest()


def _sealer(conn: Connection, keys: Sequence[str]) -> Sealer:
    sealer = existing_sealer(conn, keys)
    assert sealer is not None, "the fingerprint is of its pepper"
    return sealer


def _begun(conn: Connection, fingerprint: str) -> CopyNote:
    """Returns how far the copy is; notes that it begins if nothing is there. Raises StoreError."""
    note = read_note(conn)
    if note is None:
        if not copying_rows.is_empty(conn):
            raise StoreError("the target is not empty; name an empty database, which `copy-store` fills")
        note = _start(fingerprint)
        write_note(conn, note)
    if note.source != fingerprint:
        raise StoreError("a copy of another store has begun in the target; empty it, and run this again")
    return note


def _start(fingerprint: str) -> CopyNote:
    return CopyNote(fingerprint, "rows", TABLES[0].name)
