"""A database whose uses are measured: how long writes take, and which uses fail."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from proxy.store.errors import StoreError
from proxy.store.sql.database import Database, Turn, Work

T = TypeVar("T")


class DatabaseWatch(Protocol):
    """Gets what uses of a database came to; it must not wait."""

    def written(self, seconds: float) -> None: ...

    def store_failed(self, cause: str) -> None: ...


class WatchedDatabase:
    """The database (`sql.database.Database`) of another one that does the work.

    Look-ups by keys are not watched: each request makes several, and one that fails does not fail alone.
    """

    def __init__(self, database: Database, watch: DatabaseWatch, monotonic: Callable[[], float]) -> None:
        self._database = database
        self._watch = watch
        self._monotonic = monotonic
        self.lookup = database.lookup
        self.find = database.find

    async def read(self, work: Work[T]) -> T:
        try:
            return await self._database.read(work)
        except StoreError as error:
            self._watch.store_failed(error.cause)
            raise

    async def write(
        self,
        work: Work[T],
        *,
        turns: Sequence[Turn] = (),
        found: Work[bool] | None = None,
        single: bool = False,
    ) -> T:
        started = self._monotonic()
        try:
            result = await self._database.write(work, turns=turns, found=found, single=single)
        except StoreError as error:
            self._watch.store_failed(error.cause)
            raise
        self._watch.written(self._monotonic() - started)
        return result

    async def scrub(self) -> None:
        await self._database.scrub()
