"""Counts the pieces of audio now and then: with a million of them it takes most of a second."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy import Connection, func, select

from proxy.store.errors import StoreError
from proxy.store.sql.database import Database
from proxy.store.sql.tables import chunks

_FRESH_SECONDS: Final = 600.0
_WAIT_SECONDS: Final = 0.05

_log: Final = structlog.get_logger("proxy.store")


@dataclass(frozen=True, slots=True)
class BlobTotals:
    """The number of the pieces of audio, and their bytes."""

    count: int
    size: int


class BlobCounter:
    """A counter that answers at once: with the last totals, while newer ones are counted."""

    def __init__(self, database: Database, monotonic: Callable[[], float]) -> None:
        self._database = database
        self._monotonic = monotonic
        self._totals: BlobTotals | None = None
        self._at: float | None = None
        self._counting: asyncio.Task[None] | None = None

    async def totals(self) -> BlobTotals | None:
        """Returns the totals of the last ten minutes; None while they are counted for the first time."""
        is_old = self._at is None or self._monotonic() - self._at > _FRESH_SECONDS
        if is_old and self._counting is None:
            self._counting = asyncio.create_task(self._count(), name="count-blobs")
        if self._totals is None and self._counting is not None:
            await asyncio.wait({self._counting}, timeout=_WAIT_SECONDS)
        return self._totals

    async def _count(self) -> None:
        try:
            self._totals = await self._database.read(_totals)
            self._at = self._monotonic()
        except StoreError:
            _log.exception("blobs_not_counted")
        finally:
            self._counting = None


def _totals(conn: Connection) -> BlobTotals:
    query = select(func.count(), func.coalesce(func.sum(chunks.c.size), 0)).select_from(chunks)
    count, size = conn.execute(query).one()
    return BlobTotals(int(count), int(size))
