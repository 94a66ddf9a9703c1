"""Seals all stored values under the newest key, in small steps, while others read and write."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from sqlalchemy import Column, Table

from proxy.store.presence import Presence
from proxy.store.sealing import fernet
from proxy.store.sealing.sealer import Sealer
from proxy.store.sql.database import Database
from proxy.store.sql.tables import SEALED
from proxy.store.upkeep.resealing import Step, count_rows, next_rows, step, write_step

_PASSES: Final = 3


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress in a table: rows done, of how many, and the counts of values found (see `Step`)."""

    table: str
    rows: int
    of: int
    older: int = 0
    lost: int = 0

    def after(self, step: Step) -> "Progress":
        return Progress(
            self.table, self.rows + step.rows, self.of, self.older + step.older, self.lost + step.lost
        )


@dataclass(frozen=True, slots=True)
class Rotated:
    """The result of a rotation.

    `renewed` values are now under the newest key, `left` ones under an older key, `lost` ones under no key
    of MICHIQ_SECRET_KEYS.
    """

    renewed: int
    left: int
    lost: int


@dataclass(frozen=True, slots=True)
class Rotation:
    """The rotation of keys.

    Each value names its key: a rotation that was cut short starts again, and skips the values that are done.
    """

    database: Database
    sealer: Sealer
    presence: Presence

    async def run(self, report: Callable[[Progress], None]) -> Rotated:
        """Goes through all tables until nothing is left.

        A process that was started before the newest key existed still adds values under an older one.
        """
        renewed = 0
        for _ in range(_PASSES):
            older, lost = await self._pass(report, write=True)
            renewed += older
            if not older:
                await self._refuse_fernet()
                return Rotated(renewed, 0, lost)
        left, lost = await self._pass(report, write=False)
        return Rotated(renewed, left, lost)

    async def left(self, report: Callable[[Progress], None]) -> Rotated:
        """Goes through all tables, and writes nothing."""
        left, lost = await self._pass(report, write=False)
        return Rotated(0, left, lost)

    async def _refuse_fernet(self) -> None:
        """Refuses values of earlier releases from now on, when none is left and no process can add one."""
        if await self.database.read(
            lambda conn: fernet.is_refused(conn) or self.presence.others_format(conn)
        ):
            return
        if await self.database.write(fernet.refuse_if_none_is_left):
            self.sealer.refuse_fernet()

    async def _pass(self, report: Callable[[Progress], None], *, write: bool) -> tuple[int, int]:
        ends = [await self._table(table, columns, report, write=write) for table, columns in SEALED.items()]
        return sum(end.older for end in ends), sum(end.lost for end in ends)

    async def _table(
        self, table: Table, columns: Sequence[Column[Any]], report: Callable[[Progress], None], *, write: bool
    ) -> Progress:
        progress = Progress(table.name, 0, await self.database.read(partial(count_rows, table=table)))
        last: tuple[Any, ...] | None = None
        while rows := await self.database.read(partial(next_rows, table=table, columns=columns, after=last)):
            done = await asyncio.to_thread(step, self.sealer, table, columns, rows)
            if write and done.changes:
                await self.database.write(partial(write_step, table=table, changes=done.changes))
            last, progress = done.last, progress.after(done)
            report(progress)
        return progress
