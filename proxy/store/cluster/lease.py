"""Keeps the lease by which other machines' processes notice that this one lives (`presence.Presence`)."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

import structlog
from sqlalchemy import Connection, bindparam, func, select

from proxy.concurrency.tasks import beside
from proxy.store.errors import StoreError
from proxy.store.sql.point_reads import PointRead
from proxy.store.sql.postgresql.database import PostgresqlDatabase
from proxy.store.sql.postgresql.tables import members

# A ticket's key and nonce.
Ticket: TypeAlias = tuple[str, str]

_LEASE_SECONDS: Final = 10.0
_RENEW_SECONDS: Final = 3.0
_JOIN: Final = "SELECT michiq_join($1, $2)"
_RENEW: Final = "SELECT renewed, others_past, keys, nonces FROM michiq_renew($1, $2)"
_REAP: Final = "SELECT michiq_reap()"
_MEMBER: Final = PointRead(select(members.c.name).where(members.c.name == bindparam("member")))

_log: Final = structlog.get_logger("proxy.lease")


class Lease:
    """The lease of this process, by the database's clock.

    A process whose lease another one has ended goes on under a new name: what it began under the old one is
    no longer its own. `database` is for the lease alone, so that no other work keeps a renewal waiting.
    """

    def __init__(
        self,
        database: PostgresqlDatabase,
        new_name: Callable[[], str],
        monotonic: Callable[[], float] = time.monotonic,
        *,
        renew_every: float = _RENEW_SECONDS,
    ) -> None:
        self._database = database
        self._renew_every = renew_every
        self._new_name = new_name
        self._monotonic = monotonic
        self._name = new_name()
        self._until = 0.0
        self._reaps_from = 0.0
        self._lost = False
        self._on_loss: list[Callable[[], None]] = []
        self._on_renewal: list[Callable[[Sequence[Ticket]], None]] = []

    @property
    def name(self) -> str:
        return self._name

    def lives(self, conn: Connection, name: str | None) -> bool:
        """Returns whether the process of this name has a lease: a row that is not there never comes again."""
        return name is not None and _MEMBER.first(conn, member=name) is not None

    def others(self, conn: Connection) -> Sequence[str]:
        """Returns the names of the other processes that have a lease; a killed one has it for 10 s more."""
        named = select(members.c.name).where(
            members.c.until > func.clock_timestamp(), members.c.name != self._name
        )
        return conn.execute(named).scalars().all()

    def others_format(self, _conn: Connection) -> bool:
        """Returns that no process seals in another format: no earlier release uses such a database."""
        return False

    def when_lost(self, call: Callable[[], None]) -> None:
        """Adds a function that is called when the lease may be lost: this process holds no lock any more."""
        self._on_loss.append(call)

    def when_renewed(self, call: Callable[[Sequence["Ticket"]], None]) -> None:
        """Adds a function that is called at each renewal, with the tickets that this process has by then."""
        self._on_renewal.append(call)

    async def join(self) -> None:
        """Begins a lease under a new name. Raises StoreError."""
        self._name, at = self._new_name(), self._monotonic()
        await self._database.call(_JOIN, self._name, _LEASE_SECONDS)
        self._until = at + _LEASE_SECONDS
        self._reaps_from = at

    async def keep(self) -> None:
        """Renews the lease for ever, and ends the leases of others that are past."""
        while True:
            await asyncio.sleep(self._renew_every)
            await self._renew_or_join()

    async def leave(self) -> None:
        """Ends the lease, so that nobody waits until it is past. Raises StoreError."""
        await self._database.call("DELETE FROM members WHERE name = $1", self._name)

    async def _renew_or_join(self) -> None:
        at = self._monotonic()
        if at > self._until:
            # The database was away, and all leases are past. Others get the time to renew theirs, too.
            self._reaps_from = at + _LEASE_SECONDS
        try:
            async with asyncio.timeout(_RENEW_SECONDS):
                (row,) = await self._database.rows(_RENEW, self._name, _LEASE_SECONDS)
        except (StoreError, TimeoutError):
            if self._monotonic() > self._until:
                self._lose("lease_not_renewed")
            return
        if not row["renewed"]:
            self._lose("lease_lost")
            await self._join_again()
            return
        self._until, self._lost = at + _LEASE_SECONDS, False
        tickets = [*zip(row["keys"] or (), row["nonces"] or (), strict=True)]
        for call in self._on_renewal:
            call(tickets)
        if row["others_past"] and at >= self._reaps_from:
            await self._reap()

    async def _join_again(self) -> None:
        try:
            await self.join()
        except StoreError:
            _log.exception("lease_not_begun")
        else:
            self._lost = False

    async def _reap(self) -> None:
        """Ends the leases that are past: in a transaction of its own, so that it undoes no renewal."""
        try:
            async with asyncio.timeout(_RENEW_SECONDS):
                await self._database.call(_REAP)
        except (StoreError, TimeoutError):
            _log.warning("leases_not_ended", exc_info=True)

    def _lose(self, event: str) -> None:
        if self._lost:
            return
        self._lost = True
        _log.error(event, member=self._name)
        for call in self._on_loss:
            call()


@asynccontextmanager
async def leased(
    database: PostgresqlDatabase, new_name: Callable[[], str], **more: Any
) -> AsyncIterator[Lease]:
    """Gives this process a lease while the block runs. Raises StoreError when the database refuses it."""
    lease = Lease(database, new_name, **more)
    await lease.join()
    async with beside("lease", lease.keep()):
        try:
            yield lease
        finally:
            try:
                await lease.leave()
            except StoreError:
                _log.exception("lease_not_ended")  # it is past soon
