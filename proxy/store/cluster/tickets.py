"""Hands out first-come-first-served locks to processes on several machines (`concurrency.locks.Locks`)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

import structlog

from proxy.concurrency.locks import Hold, KeyedLocks, LockLost
from proxy.concurrency.tasks import beside
from proxy.store.cluster.lease import Lease, Ticket
from proxy.store.cluster.notes import LOCKS, Notes
from proxy.store.errors import StoreError
from proxy.store.sql.fences import Fence, lock_lost, raise_fence
from proxy.store.sql.postgresql.database import WRITE_SOMETHING, PostgresqlDatabase

_POLL_SECONDS: Final = 0.25
_TAKE: Final = "SELECT ticket, holds, was_lost FROM michiq_take($1, $2, $3)"
_GIVE_BACK: Final = "SELECT michiq_give_back($1, $2, $3)"
_OWN: Final = """
    SELECT t.id, t.nonce, EXISTS (SELECT 1 FROM lapsed l WHERE l.key = t.key) AS was_lost,
      NOT EXISTS (SELECT 1 FROM tickets o WHERE o.key = t.key AND o.id < t.id) AS holds
    FROM tickets t WHERE t.id = ANY ($1)
"""

_log: Final = structlog.get_logger("proxy.locks")


@dataclass(slots=True, eq=False)
class _Ticket:
    """A ticket of this process; `turn` gets whether the holder before it was lost."""

    key: str
    fence: Fence
    turn: "asyncio.Future[bool]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class TicketLocks:
    """The locks, as rows of the database: the lowest ticket of a key holds it.

    Who waits looks every 0.25 s whether it holds; a note of the database only makes it look sooner.
    """

    def __init__(self, database: PostgresqlDatabase, lease: Lease, nonce: Callable[[], str]) -> None:
        self._database = database
        self._lease = lease
        self._nonce = nonce
        self._waiting: dict[int, _Ticket] = {}
        self._holds: set[Hold] = set()
        self._in_hand: set[str] = set()
        self._left: list[tuple[str, str, bool]] = []
        self._wake = asyncio.Event()
        self._arrivals = KeyedLocks()
        lease.when_lost(self._lose)
        lease.when_renewed(self._give_strays_back)

    @asynccontextmanager
    async def hold(self, *key: Hashable) -> AsyncIterator[Hold]:
        """Holds the lock of a key; later writes of the block are refused once the lock is lost.

        Raises StoreError when the database does not answer, and when the lease is lost while the block runs.
        """
        digest = sha256(repr(key).encode("utf-8", "surrogatepass")).hexdigest()
        nonce, clean = self._nonce(), False
        fence: Fence | None = None
        self._in_hand.add(nonce)
        try:
            # One after another: of two requests of this process, the earlier one gets the lower ticket.
            async with self._arrivals.hold(digest):
                ticket, holds, was_lost = await self._take(digest, nonce)
            fence = Fence(ticket, nonce)
            if not holds:
                was_lost = await self._turn(_Ticket(digest, fence))
                # After a failover without this ticket, nothing would tell the next holder of this one.
                await self._database.call(WRITE_SOMETHING)
            raise_fence(fence)
            hold = Hold(lapsed=was_lost)
            self._holds.add(hold)
            try:
                async with hold.ending_with_it():
                    yield hold
                clean = True
            except LockLost:
                raise lock_lost() from None
            finally:
                self._holds.discard(hold)
        finally:
            if fence is not None:
                fence.lowered = True
            # Whoever waits for this process's answer need not wait for this.
            self._left.append((digest, nonce, clean))
            self._in_hand.discard(nonce)
            self._wake.set()

    def look(self) -> None:
        """Makes it find out at once for those who wait: another process has given a lock back."""
        self._wake.set()

    async def keep(self) -> None:
        """Gives back what was held, and finds out for those who wait whether they hold, for ever."""
        while True:
            await self._pause()
            try:
                await self.give_back()
                if self._waiting:
                    await self._look()
            except StoreError:
                _log.exception("locks_not_followed")
                await asyncio.sleep(_POLL_SECONDS)

    async def _take(self, digest: str, nonce: str) -> Any:
        (row,) = await self._database.rows(_TAKE, digest, nonce, self._lease.name)
        return row

    async def _turn(self, ticket: _Ticket) -> bool:
        self._waiting[ticket.fence.ticket] = ticket
        self._wake.set()
        try:
            return await ticket.turn
        finally:
            del self._waiting[ticket.fence.ticket]

    async def _pause(self) -> None:
        """Waits until there is something to do: for a while only, if anybody waits or something failed."""
        try:
            async with asyncio.timeout(_POLL_SECONDS if self._waiting or self._left else None):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    async def give_back(self) -> None:
        """Gives back the tickets that are left. Raises StoreError; what is not given back stays left."""
        while self._left:
            await self._database.call(_GIVE_BACK, *self._left[0])  # a second time does nothing
            del self._left[0]

    async def _look(self) -> None:
        asked = {**self._waiting}  # others may begin to wait meanwhile
        own = {row["id"]: row for row in await self._database.rows(_OWN, [*asked])}
        for number, ticket in asked.items():
            if ticket.turn.done():
                continue
            if number not in own or own[number]["nonce"] != ticket.fence.nonce:
                # A server that crashed may give a number twice: only the nonce tells whose ticket it is.
                ticket.turn.set_exception(StoreError("the wait for a lock has ended: its lease was lost"))
            elif own[number]["holds"]:
                ticket.turn.set_result(own[number]["was_lost"])

    def _give_strays_back(self, tickets: Sequence[Ticket]) -> None:
        """Gives tickets back that nobody here has: their taking, or their giving back, was lost on the way.

        A nonce is in hand before its ticket is made, so that no new ticket looks like one of these.
        """
        left = [(key, nonce, False) for key, nonce in tickets if nonce not in self._in_hand]
        self._left += left
        if left:
            self._wake.set()

    def _lose(self) -> None:
        for hold in self._holds:
            hold.lose()


@asynccontextmanager
async def ticket_locks(
    database: PostgresqlDatabase, lease: Lease, nonce: Callable[[], str], notes: Notes
) -> AsyncIterator[TicketLocks]:
    """Gives this process its locks while the block runs."""
    locks = TicketLocks(database, lease, nonce)
    notes.when(LOCKS, locks.look)
    async with beside("locks", locks.keep()):
        yield locks
    try:
        await locks.give_back()
    except StoreError:
        _log.exception("locks_not_given_back")  # the lease's end ends them
