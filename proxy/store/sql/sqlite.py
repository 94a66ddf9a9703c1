"""Runs units of work: reads on open connections, writes in groups that share one commit (DESIGN "State")."""

import asyncio
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from proxy.store.errors import StoreError, because
from proxy.store.sql.database import NOTED, Turn, Work
from proxy.store.sql.engines import OpenConnection
from proxy.store.sql.migrate import migrate, no_others
from proxy.store.sql.point_reads import PointRead
from proxy.store.sql.scrub import scrub

T = TypeVar("T")

_GROUP: Final = 64
_READERS: Final = 4


@dataclass(frozen=True, slots=True, eq=False)
class _Write:
    work: Work[Any]
    done: "asyncio.Future[Any]"

    def finish(self, result: Any, error: BaseException | None = None) -> None:
        if self.done.done():  # the caller was cancelled; the write stays
            return
        if error is None:
            self.done.set_result(result)
        else:
            self.done.set_exception(error)


class _Connections:
    """The connections of a process. Opening them may wait for another process: do it in a thread."""

    def __init__(self, path: Path) -> None:
        self.writer = OpenConnection(path, "BEGIN IMMEDIATE")
        self.readers = deque(OpenConnection(path, "BEGIN") for _ in range(_READERS))
        self.loops = OpenConnection(path, "BEGIN", wait_ms=0)  # the loop never waits for a lock

    def close(self) -> None:
        for connection in (self.loops, *self.readers, self.writer):
            connection.close()


class SqliteDatabase:
    """The open SQLite database (`sql.database.Database`); made by `open_database`."""

    def __init__(
        self, path: Path, connections: _Connections, forget: Callable[[Sequence[str]], None]
    ) -> None:
        self._path = path
        self._forget = forget
        self._connections = connections
        self._writing = ThreadPoolExecutor(1, "store-writer")
        self._reading = ThreadPoolExecutor(_READERS, "store-reader")
        self._waiting: deque[_Write] = deque()
        self._wake = asyncio.Event()
        self._closed = False
        self._task = asyncio.create_task(self._write_groups(), name="store-writer")

    async def lookup(self, work: Work[T]) -> T:
        """Runs a short `work` as `read` does, but in the loop's own thread: for a few rows by their keys.

        Going to another thread and back takes several times as long as such a read does.
        """
        try:
            with _own_errors():
                return self._connections.loops.run([work])[0]
        except StoreError as error:
            if error.cause != "store-locked":
                raise
        return await self.read(work)

    async def find(self, read: PointRead, **values: Any) -> Any:
        """Returns the first row of one point read, None where there is none.

        It is `lookup` without a transaction, which takes longer than the read.
        """
        try:
            return self._connections.loops.first(read, values)
        except sqlite3.Error:
            return await self.lookup(lambda conn: read.first(conn, **values))

    async def read(self, work: Work[T]) -> T:
        """Runs `work` on one consistent state of the database; it can't write.

        Raises StoreError when that fails.
        """
        with _own_errors():
            return await asyncio.get_running_loop().run_in_executor(self._reading, self._read, work)

    def _read(self, work: Work[T]) -> T:
        readers = self._connections.readers
        reader = readers.pop()  # there are as many as threads
        try:
            return reader.run([work])[0]
        finally:
            readers.append(reader)

    async def write(
        self,
        work: Work[T],
        *,
        turns: Sequence[Turn] = (),  # noqa: ARG002  # SQLite has one writer
        found: Work[bool] | None = None,  # noqa: ARG002  # its commits are never in doubt
        single: bool = False,  # noqa: ARG002  # a group of writes has one transaction
    ) -> T:
        """Runs `work`, and returns once its writes are on disk.

        Raises the error that `work` raises, with none of its writes done. Raises StoreError when the database
        refused it, the commit failed or the store is closed. A caller that is cancelled while it waits can't
        know whether its writes were done.
        """
        if self._closed:
            raise StoreError("the store is closed")
        write = _Write(work, asyncio.get_running_loop().create_future())
        self._waiting.append(write)
        self._wake.set()
        with _own_errors():
            return await write.done  # type: ignore[no-any-return]

    async def scrub(self) -> None:
        """Removes every trace of removed data from the files (see `scrub`). Raises StoreError on failure."""
        await asyncio.to_thread(scrub, self._path)

    async def close(self) -> None:
        """Refuses new writes, finishes the waiting ones, and closes the connections."""
        self._closed = True
        self._wake.set()
        await asyncio.wait({self._task})
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        for threads in (self._writing, self._reading):
            threads.shutdown()
        self._connections.close()

    async def _write_groups(self) -> None:
        try:
            while self._waiting or not self._closed:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    size = min(_GROUP, len(self._waiting))
                    await self._write_group([self._waiting.popleft() for _ in range(size)])
        finally:
            self._closed = True
            for write in self._waiting:
                write.finish(None, StoreError("the store was closed before the write began"))

    async def _write_group(self, group: Sequence[_Write]) -> None:
        """Writes all in one transaction: one fsync.

        When one fails, each is written in a transaction of its own, so that only its caller gets the error.
        """
        live = [write for write in group if not write.done.cancelled()]
        together = await self._ran(live)
        if together.exception() is None:
            for write, result in zip(live, together.result(), strict=True):
                write.finish(result)
        elif len(live) == 1:
            live[0].finish(None, together.exception())
        else:
            for write in live:
                await self._write_group([write])

    async def _ran(self, writes: Sequence[_Write]) -> "asyncio.Future[list[Any]]":
        works = [write.work for write in writes]
        loop = asyncio.get_running_loop()
        ran = loop.run_in_executor(self._writing, self._connections.writer.run, works)
        try:
            await asyncio.wait({ran})
        except asyncio.CancelledError:
            # The thread's work can't be undone, and its callers get its result: a `close` in a hurry.
            self._closed = True
            await asyncio.wait({ran})
        # Before the callers go on: one that has changed a value must read the new one.
        self._forget(self._connections.writer.taken(NOTED))
        return ran


@contextmanager
def _own_errors() -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        kind = type(error).__name__
        raise because(f"the database refused it ({kind})", error) from error


@asynccontextmanager
async def open_database(
    path: Path,
    forget: Callable[[Sequence[str]], None] = lambda _: None,
    refuse_others: Callable[[], None] = no_others,
    *,
    may_change: bool = True,
) -> AsyncIterator[SqliteDatabase]:
    """Opens the file, made or migrated if need be, and closes it at the end.

    `forget` gets the subjects that each write has noted (see `Memory`); `refuse_others` and `may_change` are
    those of `migrate`. Raises StoreError when the file can't be used.
    """
    await asyncio.to_thread(migrate, path, refuse_others, may_change=may_change)
    try:
        connections = await asyncio.to_thread(_Connections, path)
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise because(f"MICHIQ_DATABASE_URL: {path} can't be used", error) from error
    database = SqliteDatabase(path, connections, forget)
    try:
        yield database
    finally:
        await database.close()
