"""A database in front of another one, for tests that change how its writes go."""

from typing import Any, TypeVar

from proxy.store.sql.database import Database, Work
from proxy.store.sql.point_reads import PointRead

T = TypeVar("T")


class Wrapped(Database):
    """A database that passes everything on."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def lookup(self, work: Work[T]) -> T:
        return await self._database.lookup(work)

    async def find(self, read: PointRead, **values: Any) -> Any:
        return await self._database.find(read, **values)

    async def read(self, work: Work[T]) -> T:
        return await self._database.read(work)

    async def write(self, work: Work[T], **how: Any) -> T:
        return await self._database.write(work, **how)

    async def scrub(self) -> None:
        await self._database.scrub()
