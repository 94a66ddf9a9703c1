"""A database whose uses are measured: how long writes take, and which uses fail."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from proxy.store.errors import StoreError
from proxy.store.sql.database import Database, Turn, Work
from proxy.store.sql.point_reads import PointRead

T = TypeVar("T")


class DatabaseWatch(Protocol):
    """Gets what uses of a database came to; it must not wait."""

    def written(self, seconds: float) -> None: ...

    def store_failed(self, cause: str) -> None: ...


@dataclass(frozen=True, slots=True)
class WatchedDatabase:
    """The database (`sql.database.Database`) of another one that does the work."""

    database: Database
    watch: DatabaseWatch
    monotonic: Callable[[], float]

    async def lookup(self, work: Work[T]) -> T:
        try:
            return await self.database.lookup(work)
        except StoreError as error:
            self.watch.store_failed(error.cause)
            raise

    async def find(self, read: PointRead, **values: Any) -> Any:
        try:
            return await self.database.find(read, **values)
        except StoreError as error:
            self.watch.store_failed(error.cause)
            raise

    async def read(self, work: Work[T]) -> T:
        try:
            return await self.database.read(work)
        except StoreError as error:
            self.watch.store_failed(error.cause)
            raise

    async def write(
        self,
        work: Work[T],
        *,
        turns: Sequence[Turn] = (),
        found: Work[bool] | None = None,
        single: bool = False,
    ) -> T:
        started = self.monotonic()
        try:
            result = await self.database.write(work, turns=turns, found=found, single=single)
        except StoreError as error:
            self.watch.store_failed(error.cause)
            raise
        self.watch.written(self.monotonic() - started)
        return result

    async def scrub(self) -> None:
        await self.database.scrub()
