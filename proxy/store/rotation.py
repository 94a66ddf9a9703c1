"""Puts what is stored under the newest key, in small steps, while others read and write."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from sqlalchemy import Column, Table

from proxy.store import fernet
from proxy.store.database_protocol import Database
from proxy.store.presence import Presence
from proxy.store.resealing import Step, count_rows, next_rows, step, write_step
from proxy.store.sealer import Sealer
from proxy.store.tables import SEALED

_PASSES: Final = 3


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is in a table: rows gone through, of how many, and what was found in them (see `Step`)."""

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
    """`renewed` values are under the newest key since; `left` ones are under an older one, `lost` ones under
    none that is known."""

    renewed: int
    left: int
    lost: int


@dataclass(frozen=True, slots=True)
class Rotation:
    """Under which key a value is shows in the value itself: a rotation that was cut short is begun again, and
    passes over what is done."""

    database: Database
    sealer: Sealer
    presence: Presence

    async def run(self, told: Callable[[Progress], None]) -> Rotated:
        """Goes through all tables until nothing is left: a process that was started before there was the
        newest key still adds what is under an older one."""
        renewed = 0
        for _ in range(_PASSES):
            older, lost = await self._pass(told, write=True)
            renewed += older
            if not older:
                await self._refuse_fernet()
                return Rotated(renewed, 0, lost)
        left, lost = await self._pass(told, write=False)
        return Rotated(renewed, left, lost)

    async def left(self, told: Callable[[Progress], None]) -> Rotated:
        """Goes through all tables, and writes nothing."""
        left, lost = await self._pass(told, write=False)
        return Rotated(0, left, lost)

    async def _refuse_fernet(self) -> None:
        """From now on no value of an earlier release opens, where none is left and nobody can add one."""
        if await self.database.read(fernet.is_refused) or self.presence.others_format():
            return
        if await self.database.write(fernet.refuse_if_none_is_left):
            self.sealer.refuse_fernet()

    async def _pass(self, told: Callable[[Progress], None], *, write: bool) -> tuple[int, int]:
        ends = [await self._table(table, columns, told, write=write) for table, columns in SEALED.items()]
        return sum(end.older for end in ends), sum(end.lost for end in ends)

    async def _table(
        self, table: Table, columns: Sequence[Column[Any]], told: Callable[[Progress], None], *, write: bool
    ) -> Progress:
        progress = Progress(table.name, 0, await self.database.read(partial(count_rows, table=table)))
        last: tuple[Any, ...] | None = None
        while rows := await self.database.read(partial(next_rows, table=table, columns=columns, after=last)):
            done = await asyncio.to_thread(step, self.sealer, table, columns, rows)
            if write and done.changes:
                await self.database.write(partial(write_step, table=table, changes=done.changes))
            last, progress = done.last, progress.after(done)
            told(progress)
        return progress
