"""Stores the traces of the newest requests for `explain` and `requests`, by days and by number."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, delete, func, insert, or_, select

from proxy.store.sql.database import Database
from proxy.store.sql.point_writes import PointWrite
from proxy.store.sql.rows import rows_of
from proxy.store.sql.tables import requests
from proxy.values import Json

# What an operator is called about, in the column `failed`. The newest of each are stored, and for so long.
# A shadowed request has a second trace, of its comparison, among the answered ones.
_ANSWERED: Final = 0
_REFUSED: Final = 1
_BROKEN: Final = 2
_Failed: TypeAlias = Literal[0, 1, 2]
# A refusal may be a scanner's, in any number: so it takes no room from the proxy's own failures.
_MOST: Final[dict[_Failed, int]] = {_ANSWERED: 5_000, _REFUSED: 10_000, _BROKEN: 10_000}
_DAYS: Final[dict[_Failed, int]] = {_ANSWERED: 7, _REFUSED: 30, _BROKEN: 30}
_CLIENT_ERROR: Final = 400
_SERVER_ERROR: Final = 500
# A wrong id and a wrong method are a client's own, and they come again and again.
_NO_CALL: Final = frozenset({404, 405})

_INSERT: Final = PointWrite(insert(requests))


def _dropping(failed: _Failed, most: int) -> PointWrite:
    same = requests.c.failed == failed
    too_many = select(requests.c.id).where(same).order_by(requests.c.id.desc()).offset(most).limit(1)
    old = and_(same, requests.c.id <= too_many.scalar_subquery())
    # What another process is just removing is left to it.
    free = select(requests.c.id).where(old).with_for_update(skip_locked=True)
    return PointWrite(delete(requests).where(requests.c.id.in_(free)))


_DROP: Final[dict[_Failed, PointWrite]] = {failed: _dropping(failed, most) for failed, most in _MOST.items()}


@dataclass(frozen=True, slots=True)
class RequestTrace:
    """The decisions, calls and times of one request: structure only, since it is not sealed.

    The trace of a comparison has the `story` alone. `organization` is the keyed hash of the one that was
    named, "" where none was; `side` and `cause` are "" where there is none.
    """

    request_id: str
    at: datetime
    story: Json = field(repr=False)
    route: str = ""
    organization: str = ""
    side: str = ""
    cause: str = ""
    status: int = 0
    milliseconds: int = 0

    @property
    def is_failure(self) -> bool:
        """Returns whether an operator may be called about it: the proxy failed, or refused the call."""
        return _failed(self) > _ANSWERED


@dataclass(frozen=True, slots=True)
class RequestRow:
    """An answered request in a list; `id` is its number, by which a list goes on."""

    id: int
    request_id: str
    at: datetime
    route: str
    organization: str
    side: str
    cause: str
    status: int
    milliseconds: int
    failed: bool


@dataclass(frozen=True, slots=True)
class RequestFilters:
    """The conditions of a list of requests; None is any. `statuses` are the least and the greatest one.

    `organization` is a keyed hash; `side` is "" for a request that was refused before a side was chosen.
    """

    route: str | None = None
    organization: str | None = None
    statuses: tuple[int, int] | None = None
    cause: str | None = None
    side: str | None = None
    failed: bool = False
    since: datetime | None = None
    until: datetime | None = None
    id_prefix: str | None = None


@dataclass(frozen=True, slots=True)
class RequestTraces:
    """The traces; `Evidence.add` writes them."""

    database: Database

    async def of(self, request_id: str) -> list[RequestTrace]:
        """Returns the traces of this request id, oldest first: a client may use an id several times."""
        columns = [requests.c[name] for name in RequestTrace.__slots__]
        query = select(*columns).where(requests.c.request_id == request_id).order_by(requests.c.id)
        return [RequestTrace(**row._mapping) for row in await self._rows(query)]

    async def search(
        self, filters: RequestFilters, *, limit: int, before: int | None = None
    ) -> list[RequestRow]:
        """Returns the requests that fit, newest first, at most `limit`; those older than the row `before`."""
        columns = [requests.c[name] for name in RequestRow.__slots__]
        query = select(*columns).where(requests.c.status > 0, *_conditions(filters))
        if before is not None:
            query = query.where(requests.c.id < before)
        rows = await self._rows(query.order_by(requests.c.id.desc()).limit(limit))
        return [RequestRow(**{**row._mapping, "failed": row.failed > _ANSWERED}) for row in rows]

    async def _rows(self, query: Select[Any]) -> Sequence[Row[Any]]:
        return await self.database.read(rows_of(query))


def write_stories(conn: Connection, traces: Sequence[RequestTrace]) -> None:
    """Adds the traces in their order, and removes those that are too many."""
    if not traces:
        return
    rows = [_row(each) for each in traces]
    _INSERT.run_all(conn, rows)
    for failed in {row["failed"] for row in rows}:
        _DROP[failed].run(conn, {})


def delete_stories_before(conn: Connection, contents: datetime, now: datetime) -> None:
    """Removes the traces past their days, and all from before `contents`."""
    for failed, days in _DAYS.items():
        before = max(contents, now - timedelta(days=days))
        conn.execute(delete(requests).where(requests.c.failed == failed, requests.c.at < before))


def _row(trace: RequestTrace) -> dict[str, Any]:
    return {
        "request_id": trace.request_id,
        "at": trace.at,
        "story": trace.story,
        "route": trace.route,
        "organization": trace.organization,
        "side": trace.side,
        "cause": trace.cause,
        "status": trace.status,
        "milliseconds": trace.milliseconds,
        "failed": _failed(trace),
    }


def _failed(trace: RequestTrace) -> _Failed:
    if trace.status >= _SERVER_ERROR:
        return _BROKEN
    return _REFUSED if trace.status >= _CLIENT_ERROR and trace.status not in _NO_CALL else _ANSWERED


def _conditions(filters: RequestFilters) -> list[ColumnElement[bool]]:
    table = requests.c
    same = ((table[name], getattr(filters, name)) for name in ("route", "organization", "cause", "side"))
    found = [column == value for column, value in same if value is not None]
    if filters.statuses is not None:
        found.append(table.status.between(*filters.statuses))
    if filters.failed:
        found.append(or_(table.failed == _REFUSED, table.failed == _BROKEN))
    if filters.since is not None:
        found.append(table.at >= filters.since)
    if filters.until is not None:
        found.append(table.at < filters.until)
    if filters.id_prefix is not None:  # not by LIKE: on SQLite it takes letters of either case
        found.append(func.substr(table.request_id, 1, len(filters.id_prefix)) == filters.id_prefix)
    return found
