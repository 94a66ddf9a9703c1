"""The database of a dry run: it reads the real one, and undoes each write."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection

from proxy.store.errors import StoreError
from proxy.store.sql.database import NOTED, Database, Turn, Work
from proxy.store.sql.point_reads import PointRead

T = TypeVar("T")


class DryDatabase:
    """The database of one dry run (`sql.database.Database`).

    A write finds what the run wrote before: those units of work run again first, within the same savepoint.
    So no transaction is open between two writes, and real writes go on. A read sees only what is really
    stored: it may be long, and must not hold up the writer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._written: list[Work[object]] = []
        self._turns: set[Turn] = set()
        self._turn = asyncio.Lock()

    async def lookup(self, work: Work[T]) -> T:
        return await self._database.lookup(work)

    async def find(self, read: PointRead, **values: Any) -> Any:
        return await self._database.find(read, **values)

    async def read(self, work: Work[T]) -> T:
        return await self._database.read(work)

    async def write(
        self,
        work: Work[T],
        *,
        turns: Sequence[Turn] = (),
        found: Work[bool] | None = None,  # noqa: ARG002  # what is undone is never found
        single: bool = False,  # noqa: ARG002  # it is undone within a transaction
    ) -> T:
        """Runs `work`, and undoes it before the transaction of the real writes beside it is committed.

        What `work` raises comes back. The next writes of the run do not see what such a work wrote.
        """
        async with self._turn:
            again = partial(_undone, before=tuple(self._written), work=work)
            self._turns |= set(turns)
            result = await self._database.write(again, turns=sorted(self._turns))
            self._written.append(work)
        return result

    async def scrub(self) -> None:
        """Raises StoreError: writing the file anew can't be undone."""
        raise StoreError("a dry run does not write")


def _undone(conn: Connection, before: Sequence[Work[object]], work: Work[T]) -> T:
    noted = [*conn.info.get(NOTED, ())]
    savepoint = conn.begin_nested()
    try:
        for each in before:
            each(conn)
        return work(conn)
    finally:
        savepoint.rollback()
        # Nothing has changed, so no value in memory ends.
        conn.info[NOTED] = noted
