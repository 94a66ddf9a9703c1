"""Stores the traces of the newest requests for `explain`, for a while, by request id."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select

from proxy.store.sql.database import Database
from proxy.store.sql.point_writes import PointWrite
from proxy.store.sql.tables import requests
from proxy.values import Json

_MOST: Final = 2000  # of 1,000 requests: a shadowed one has a second story
_INSERT: Final = PointWrite(insert(requests))
_FIRST_TOO_MANY: Final = select(requests.c.id).order_by(requests.c.id.desc()).offset(_MOST).limit(1)
_OLD: Final = requests.c.id <= _FIRST_TOO_MANY.scalar_subquery()
# What another process is just removing is left to it.
_FREE: Final = select(requests.c.id).where(_OLD).with_for_update(skip_locked=True)
_DROP_OLD: Final = PointWrite(delete(requests).where(requests.c.id.in_(_FREE)))


@dataclass(frozen=True, slots=True)
class RequestTrace:
    """The decisions, calls and times of one request: structure only, since it is not sealed."""

    request_id: str
    at: datetime
    story: Json = field(repr=False)


@dataclass(frozen=True, slots=True)
class RequestTraces:
    """The stories; `Evidence.add` writes them."""

    database: Database

    async def of(self, request_id: str) -> list[RequestTrace]:
        """Returns the stories of this request id, oldest first: a client may use an id several times."""
        query = select(requests).filter_by(request_id=request_id).order_by(requests.c.id)

        def work(conn: Connection) -> Sequence[Row[Any]]:
            return conn.execute(query).all()

        return [RequestTrace(row.request_id, row.at, row.story) for row in await self.database.read(work)]


def write_stories(conn: Connection, stories: Sequence[RequestTrace]) -> None:
    """Adds the stories in their order, and removes all but the newest `_MOST`."""
    if not stories:
        return
    rows = [{"request_id": each.request_id, "at": each.at, "story": each.story} for each in stories]
    _INSERT.run_all(conn, rows)
    _DROP_OLD.run(conn, {})


def delete_stories_before(conn: Connection, before: datetime) -> None:
    conn.execute(delete(requests).where(requests.c.at < before))
