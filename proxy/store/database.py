"""Reads on a small pool; writes through one task that commits them in groups (DESIGN "State")."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from proxy.store.engines import READERS, read_engine, write_engine
from proxy.store.errors import StoreError, because, cause_of
from proxy.store.migrate import migrate
from proxy.store.scrub import scrub

T = TypeVar("T")
Work: TypeAlias = Callable[[AsyncConnection], Awaitable[T]]

_GROUP: Final = 64


@dataclass(frozen=True, slots=True, eq=False)
class _Write:
    work: Work[Any]
    done: "asyncio.Future[Any]"

    def settle(self, attempt: "asyncio.Task[Any]") -> None:
        error = None if attempt.cancelled() else attempt.exception()
        if self.done.done():  # the caller was cancelled; what was written stays written
            return
        if attempt.cancelled():
            self.done.cancel()
        elif error is not None:
            self.done.set_exception(error)
        else:
            self.done.set_result(attempt.result())

    def fail(self, reason: str, cause: BaseException | None = None) -> None:
        if not self.done.done():
            error = because(reason, cause)
            error.__cause__ = cause
            self.done.set_exception(error)


def _open_files(conn: Connection) -> None:
    """SQLite opens its log, and the index of it, with the first read."""
    conn.exec_driver_sql("SELECT count(*) FROM sqlite_schema").scalar()


class Database:
    """The open database; made by `open_database`.

    The functions handed in do nothing but use their connection: a writer that waits for anything else
    holds up all the others.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader = read_engine(path)
        self._writer = write_engine(path)
        self._waiting: deque[_Write] = deque()
        self._wake = asyncio.Event()
        self._closed = False
        self._task = asyncio.create_task(self._write_groups(), name="store-writer")

    async def warm(self) -> None:
        """Opens every connection, so that none is missing once the process has no file left to open."""
        with _own_errors():
            async with AsyncExitStack() as stack:
                for engine, size in ((self._reader, READERS), (self._writer, 1)):
                    for _ in range(size):
                        conn = await stack.enter_async_context(engine.connect())
                        await conn.run_sync(_open_files)

    async def read(self, work: Work[T]) -> T:
        """Runs `work` on one consistent state of the database; it can't write. StoreError when that fails."""
        with _own_errors():
            async with self._reader.begin() as conn:
                return await work(conn)

    async def write(self, work: Work[T]) -> T:
        """Runs `work`, and returns once what it wrote is on disk.

        What `work` raises comes back, with nothing of it written; StoreError when the database refused it,
        the commit failed or the store is closed. A caller that is cancelled while it waits can't know whether
        it was written.
        """
        if self._closed:
            raise StoreError("the store is closed")
        write = _Write(work, asyncio.get_running_loop().create_future())
        self._waiting.append(write)
        self._wake.set()
        with _own_errors():
            return await write.done  # type: ignore[no-any-return]

    async def scrub(self) -> None:
        """Leaves no trace of what was removed; StoreError when that fails (see `scrub`)."""
        await asyncio.to_thread(scrub, self._path)

    async def close(self) -> None:
        """Refuses new writes, finishes the waiting ones, and closes the connections."""
        self._closed = True
        self._wake.set()
        await asyncio.wait({self._task})
        await self._writer.dispose()
        await self._reader.dispose()

    async def _write_groups(self) -> None:
        try:
            while self._waiting or not self._closed:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    size = min(_GROUP, len(self._waiting))
                    await _commit(self._writer, [self._waiting.popleft() for _ in range(size)])
        finally:
            self._closed = True
            for write in self._waiting:
                write.fail("the store was closed before the write began")


@contextmanager
def _own_errors() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise because(f"the database refused it ({type(error).__name__})", error) from error


async def _commit(engine: AsyncEngine, group: Sequence[_Write]) -> None:
    """One transaction for the group: one fsync, and an answer for each caller after it."""
    live = [write for write in group if not write.done.cancelled()]
    cause: BaseException | None = None
    try:
        async with engine.begin() as conn:
            attempts = [await _attempt(conn, write.work) for write in live]
        for write, attempt in zip(live, attempts, strict=True):
            write.settle(attempt)
    except (SQLAlchemyError, StoreError) as error:
        cause = error
    finally:
        for write in live:
            write.fail("the write could not be committed", cause)


async def _attempt(conn: AsyncConnection, work: Work[T]) -> "asyncio.Task[T]":
    """Runs `work` in a task of its own, so that whatever it raises stays with its own caller."""
    attempt = asyncio.create_task(_in_savepoint(conn, work), name="store-write")
    try:
        await asyncio.wait({attempt})
    except asyncio.CancelledError:
        attempt.cancel()
        await asyncio.wait({attempt})
        raise
    if attempt.cancelled() or attempt.exception() is not None:
        await _check_transaction(conn, None if attempt.cancelled() else attempt.exception())
    return attempt


async def _in_savepoint(conn: AsyncConnection, work: Work[T]) -> T:
    first: SQLAlchemyError | None = None
    try:
        async with conn.begin_nested():
            try:
                return await work(conn)
            except SQLAlchemyError as error:
                first = error
                raise
    except SQLAlchemyError as error:
        # A full disk ends the savepoint, too: that it can't be rolled back is not what went wrong.
        if first is None or first is error:
            raise
        raise error from first


async def _check_transaction(conn: AsyncConnection, failure: BaseException | None) -> None:
    # SQLite undoes the whole transaction by itself on some failures (disk full, I/O error); going on
    # would then write the rest of the group outside of any.
    raw = await conn.get_raw_connection()
    if raw.driver_connection is None or not raw.driver_connection.in_transaction:
        raise StoreError("SQLite gave up the transaction", cause_of(failure)) from failure


@asynccontextmanager
async def open_database(path: Path) -> AsyncIterator[Database]:
    """Migrates the file (made if absent), and closes it at the end. StoreError when it can't be used."""
    await asyncio.to_thread(migrate, path)
    database = Database(path)
    try:
        yield database
    finally:
        await database.close()
