"""Runs units of work on PostgreSQL: each write in a transaction of its own, from a few open connections."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final, Generic, TypeVar, cast

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from proxy.store.errors import StoreError, because
from proxy.store.sql.database import NOTED, Turn, Work
from proxy.store.sql.fences import Fence, fences, lock_lost
from proxy.store.sql.point_reads import PointRead
from proxy.store.sql.postgresql.connections import LIMITS, Connections, Lent, Limits
from proxy.store.sql.postgresql.errors import DRIVER_ERRORS, is_lost, may_run_again
from proxy.store.sql.postgresql.turns import numbers

T = TypeVar("T")

_READ: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# A transaction that wrote nothing does not wait for the synchronous standby: this makes it one that wrote.
WRITE_SOMETHING: Final = "SELECT pg_logical_emit_message(true, 'michiq', '')"
_UNDIVIDED: Final = "22012"  # division by zero: a fence is not there
_RESOLVE_PAUSE: Final = 0.5


class _InDoubt(Exception):
    """An error: the connection was lost while it committed."""


class _Run(Generic[T]):
    """A unit of work, and what its last run returned and noted, also when its commit is in doubt."""

    def __init__(self, work: Work[T]) -> None:
        self._work = work
        self._result: list[T] = []
        self.noted: Sequence[str] = ()

    def __call__(self, conn: Connection) -> None:
        conn.info.pop(NOTED, None)
        self._result = [self._work(conn)]
        self.noted = [*conn.info.pop(NOTED, ())]

    def returned(self) -> T:
        # A work of a single statement that was lost on its way has returned nothing, and returns None.
        return self._result[0] if self._result else cast("T", None)


class PostgresqlDatabase:
    """The open PostgreSQL database (`sql.database.Database`); made by `open_postgresql`.

    Reads that may be long see one state (REPEATABLE READ). Writes are READ COMMITTED: their statements are
    atomic, or they have turns. PostgreSQL joins the commits of several connections by itself.
    """

    def __init__(
        self, connections: Connections, forget: Callable[[Sequence[str]], None], resolve: float
    ) -> None:
        self._connections = connections
        self._forget = forget
        self._resolve = resolve
        self._closed = False
        self._writes: set[asyncio.Task[Any]] = set()

    async def lookup(self, work: Work[T]) -> T:
        """Runs a short `work` without a transaction: each of its statements sees the newest state."""
        return await self._again(lambda lent: lent.conn.run_sync(work))

    async def find(self, read: PointRead, **values: Any) -> Any:
        """Returns the first row of one point read, None where there is none."""
        return await self._again(lambda lent: read.first_of(lent.driver, **values))

    async def read(self, work: Work[T]) -> T:
        """Runs `work` on one consistent state of the database; it can't write.

        Raises StoreError when that fails.
        """
        return await self._again(lambda lent: self._transaction(lent, work, _READ))

    async def write(
        self,
        work: Work[T],
        *,
        turns: Sequence[Turn] = (),
        found: Work[bool] | None = None,
        single: bool = False,
    ) -> T:
        """Runs `work`, and returns once its writes are on disk, and on the synchronous standby's.

        It goes on when the caller is cancelled. See `Database.write` for the rest.
        """
        if self._closed:
            raise StoreError("the store is closed")
        held = fences()
        beginning = None if single and not turns and not held else _beginning(turns, held)
        task = asyncio.create_task(self._write(work, beginning, found), name="store-write")
        self._writes.add(task)
        task.add_done_callback(self._written)
        return await asyncio.shield(task)

    async def call(self, statement: str, *values: Any) -> Any:
        """Returns the first column of the first row of one statement, which is its own transaction.

        It is not sent again when the connection was lost: it may have been done. Raises StoreError.
        """
        with _own_errors():
            return await self._used(lambda lent: lent.driver.fetchval(statement, *values))

    async def rows(self, statement: str, *values: Any) -> list[Any]:
        """Returns all rows of one statement, which is its own transaction. Raises StoreError as `call`."""
        with _own_errors():
            found: list[Any] = await self._used(lambda lent: lent.driver.fetch(statement, *values))
            return found

    async def scrub(self) -> None:
        """Gives removed rows' room back. Copies stay in the engine's log, its archives and its standbys."""
        with _own_errors():
            async with self._connections.lent() as lent:
                await lent.driver.execute("VACUUM (TRUNCATE)", timeout=None)

    async def close(self) -> None:
        """Refuses new writes, finishes the waiting ones, and closes the connections."""
        self._closed = True
        if self._writes:
            await asyncio.wait({*self._writes})
        await self._connections.close()

    def _written(self, task: "asyncio.Task[Any]") -> None:
        self._writes.discard(task)
        if not task.cancelled():
            task.exception()  # the caller may have been cancelled, and nobody else asks for it

    async def _again(self, use: Callable[[Lent], Awaitable[T]]) -> T:
        """Reads, a second time when the connection was lost: an idle one may have been so for long."""
        with _own_errors():
            try:
                return await self._used(use)
            except DRIVER_ERRORS as error:
                if not is_lost(error) and not may_run_again(error):
                    raise
            return await self._used(use)

    async def _used(self, use: Callable[[Lent], Awaitable[T]]) -> T:
        try:
            async with self._connections.lent() as lent:
                return await use(lent)
        except (_InDoubt, *DRIVER_ERRORS) as error:
            if isinstance(error, _InDoubt) or is_lost(error):
                self._connections.lose_all()
            raise

    async def _write(self, work: Work[T], beginning: str | None, found: Work[bool] | None) -> T:
        with _own_errors():
            run = _Run(work)
            try:
                return await self._committed(run, beginning)
            except _InDoubt:
                # It may be there for others, too.
                self._forget(run.noted)
                if found is not None and await self._resolved(found, beginning):
                    return run.returned()
                if found is None:
                    raise
            except DRIVER_ERRORS as error:
                if not is_lost(error) and not may_run_again(error):
                    raise
            return await self._committed(run, beginning)

    async def _committed(self, run: "_Run[T]", beginning: str | None) -> T:
        """Runs one write. Raises _InDoubt."""
        if beginning is None:
            await self._used(lambda lent: _single(lent, run))
        else:
            await self._used(lambda lent: self._transaction(lent, run, beginning))
        # Before the caller goes on: one that has changed a value must read the new one.
        self._forget(run.noted)
        return run.returned()

    async def _transaction(self, lent: Lent, work: Work[T], beginning: str) -> T:
        await lent.driver.execute(beginning)
        worked = lost = False
        try:
            result = await lent.conn.run_sync(work)
            worked = True
        except DRIVER_ERRORS as error:
            lost = is_lost(error)  # a server that is silent would not answer this either
            raise
        finally:
            if not (worked or lost or lent.driver.is_closed()):
                with suppress(*DRIVER_ERRORS):  # the connection is closed then, and the transaction with it
                    await lent.driver.execute("ROLLBACK")
        try:
            ended = await lent.driver.execute("COMMIT")
        except DRIVER_ERRORS as error:
            if is_lost(error):
                raise _InDoubt from error
            raise
        if ended != "COMMIT":
            raise StoreError("PostgreSQL rolled the transaction back")
        return result

    async def _resolved(self, found: Work[bool], beginning: str | None) -> bool:
        """Returns whether a write is there whose commit is in doubt.

        Its own transaction writes, so that its commit, too, waits for the synchronous standby: what it has
        seen is there for good. Raises StoreError when nobody can say in time.
        """

        def work(conn: Connection) -> bool:
            there = found(conn)
            conn.exec_driver_sql(WRITE_SOMETHING)
            return there

        async with asyncio.timeout(self._resolve):
            while True:
                try:
                    return await self._used(lambda lent: self._transaction(lent, work, beginning or "BEGIN"))
                except _InDoubt:
                    pass
                except DRIVER_ERRORS as error:
                    if not is_lost(error):
                        raise
                await asyncio.sleep(_RESOLVE_PAUSE)


async def _single(lent: Lent, work: Work[T]) -> T:
    """Runs a work whose one writing statement is its own transaction. Raises _InDoubt."""
    try:
        return await lent.conn.run_sync(work)
    except DRIVER_ERRORS as error:
        if is_lost(error):
            raise _InDoubt from error
        raise


def _beginning(turns: Sequence[Turn], held: Sequence[Fence]) -> str:
    """Returns the statements that begin a write, sent in one go: while they travel, locks are held.

    They hold numbers and hexadecimal digits of our own, and nothing from a request. A fence that is gone
    divides by zero: statements that are sent together return no rows, but an error ends them.
    """
    there = (
        "SELECT 1 / (SELECT count(*) FROM (SELECT 1 FROM tickets WHERE id = {} AND nonce = '{}' FOR SHARE) t)"
    )
    return "; ".join(
        [
            "BEGIN",
            *(f"SELECT pg_advisory_xact_lock({number})" for number in numbers(turns)),
            *(there.format(fence.ticket, bytes.fromhex(fence.nonce).hex()) for fence in held),
        ]
    )


@contextmanager
def _own_errors() -> Iterator[None]:
    try:
        yield
    except _InDoubt as error:
        said = "the connection to the database was lost while it committed: it may be written, or not"
        raise because(said, error) from error
    except DRIVER_ERRORS as error:
        if getattr(error, "sqlstate", None) == _UNDIVIDED:
            raise lock_lost() from error
        kind = type(getattr(error, "__cause__", None) or error).__name__
        raise because(f"the database refused it ({kind})", error) from error


@asynccontextmanager
async def open_postgresql(
    engine: AsyncEngine,
    pool: int,
    forget: Callable[[Sequence[str]], None] = lambda _: None,
    limits: Limits = LIMITS,
) -> AsyncIterator[PostgresqlDatabase]:
    """Opens the database of a `Server.engine`, whose schema is there already, and closes it at the end."""
    connections = Connections(engine, pool, limits.lend)
    database = PostgresqlDatabase(connections, forget, limits.resolve)
    try:
        yield database
    finally:
        await database.close()
