"""Keeps the lease by which other machines' processes notice that this one lives (`presence.Presence`)."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog
from sqlalchemy import Connection, bindparam, select

from proxy.concurrency.tasks import beside
from proxy.store.errors import StoreError
from proxy.store.sql.point_reads import PointRead
from proxy.store.sql.postgresql.database import PostgresqlDatabase
from proxy.store.sql.postgresql.tables import members

_LEASE_SECONDS: Final = 10.0
_RENEW_SECONDS: Final = 3.0
_JOIN: Final = "SELECT michiq_join($1, $2)"
_RENEW: Final = "SELECT michiq_renew($1, $2, $3)"
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
        self._on_loss: list[Callable[[], None]] = []

    @property
    def name(self) -> str:
        return self._name

    def lives(self, conn: Connection, name: str | None) -> bool:
        """Returns whether the process of this name has a lease: a row that is not there never comes again."""
        return name is not None and _MEMBER.first(conn, member=name) is not None

    def others_format(self, _conn: Connection) -> bool:
        """Returns that no process seals in another format: no earlier release uses such a database."""
        return False

    def when_lost(self, call: Callable[[], None]) -> None:
        """Adds a function that is called when the lease may be lost: this process holds no lock any more."""
        self._on_loss.append(call)

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
        try:
            async with asyncio.timeout(_RENEW_SECONDS):
                renewed = await self._renew(at)
        except (StoreError, TimeoutError):
            if self._monotonic() > self._until:
                self._lose("lease_not_renewed")
            return
        if renewed:
            self._until = at + _LEASE_SECONDS
            return
        self._lose("lease_lost")
        try:
            await self.join()
        except StoreError:
            _log.exception("lease_not_begun")

    async def _renew(self, at: float) -> bool:
        """Renews the row; returns False when it is gone.

        A process whose own lease was past does not end those of others at once: when the database was away,
        all of them are past, and each is renewed within seconds.
        """
        if at > self._until:
            self._reaps_from = at + _LEASE_SECONDS
        reaps = at >= self._reaps_from
        return bool(await self._database.call(_RENEW, self._name, _LEASE_SECONDS, reaps))

    def _lose(self, event: str) -> None:
        _log.error(event, member=self._name)
        self._until = float("inf")  # said once
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
