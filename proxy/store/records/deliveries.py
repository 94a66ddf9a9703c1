"""Stores webhook deliveries on their way to the operator's own consumer (CONTRACT W04)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, delete, exists, func, insert, select, update

from proxy.store.audit.trail import is_erased
from proxy.store.records.reports import Reports
from proxy.store.sealing.contexts import SealedColumn
from proxy.store.sealing.sealer import Sealer
from proxy.store.sql.clock import Time, database_time
from proxy.store.sql.database import Database, runs_again
from proxy.store.sql.tables import deliveries
from proxy.values import Json, ReportEvent, folded_id

DELIVERY_LIFE: Final = timedelta(hours=24)  # for so long the proxy tries to send a webhook on (W04)

_HEADERS: Final = SealedColumn(deliveries.c.headers)
_BODY: Final = SealedColumn(deliveries.c.body)
_WAITING: Final = "waiting"
_SENT: Final = "sent"  # an empty row, by which a repeat is recognized


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery as it came in: the signed bytes, the signature, the content type ("": none)."""

    body: bytes = field(repr=False)
    signature: str = field(repr=False)
    content_type: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Subject:
    """The report and the case of a delivery, as far as it names them."""

    report_id: str | None = None
    case_id: str | None = None


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that is due; `attempts` counts this attempt too."""

    id: int
    delivery: Delivery
    attempts: int
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Deliveries:
    """The deliveries. Each is sent once the consumer can take it; those of one report in order of arrival."""

    database: Database
    sealer: Sealer
    reports: Reports

    async def receive(
        self, delivery: Delivery, subject: Subject, event: ReportEvent | None, at: datetime
    ) -> None:
        """Stores, in one write, the event and the delivery that brought it.

        A repeat is not sent again. Nothing is stored of a case that was erased.
        """
        row, cases = self._row(delivery, subject, at), self.sealer.case_hashes(subject.case_id or "")
        applying = None if event is None else self.reports.applying(event, at)

        def work(conn: Connection) -> None:
            if is_erased(conn, cases):
                return
            if applying is not None:
                applying(conn)
            same = select(deliveries.c.id).filter_by(digest=row["digest"])
            if conn.execute(same).first() is None:
                conn.execute(insert(deliveries).values({**row, "next_at": database_time(conn, at)}))

        # A delivery of no report is a repeat only of itself.
        turns = self.reports.turns(subject.report_id or f"of {row['digest']}", subject.case_id)
        await self.database.write(work, turns=turns, found=runs_again)

    async def claim(self, now: datetime, until: datetime) -> Claimed | None:
        """Returns the first delivery that is due, for the caller alone until `until`; then it is due again.

        On a database that several machines share, the database's clock counts, and of `until` only how long
        after `now` it is.

        A claim has an end, since the process that made it may die. It is durable, since other processes look
        for due deliveries too.
        """

        def look(conn: Connection) -> Row[Any] | None:
            return conn.execute(_due(database_time(conn, now))).one_or_none()

        def work(conn: Connection) -> Row[Any] | None:
            # What another process is just claiming is not due for this one.
            due = _due(database_time(conn, now)).with_for_update(skip_locked=True, of=deliveries)
            row: Row[Any] | None = conn.execute(due).one_or_none()
            if row is not None:
                end = database_time(conn, now, until - now)
                _change(conn, row.id, attempts=row.attempts + 1, next_at=end)
            return row

        if await self.database.read(look) is None:  # nearly always so: a read does not wait for the writer
            return None
        row = await self.database.write(work)
        return None if row is None else self._claimed(row)

    async def sent(self, number: int) -> None:
        """Notes that the consumer has the delivery. Its contents are removed, its row stays."""
        await self._write(number, state=_SENT, body=None, headers=None)

    async def put_off(self, number: int, now: datetime, until: datetime) -> None:
        """Makes the delivery due again at `until`, by the clock of `claim`."""

        def work(conn: Connection) -> None:
            _change(conn, number, next_at=database_time(conn, now, until - now))

        await self.database.write(work, found=runs_again)

    async def give_up(self, number: int) -> None:
        """Removes the delivery unsent. If the platform delivers it again, that is a new one."""

        def work(conn: Connection) -> None:
            conn.execute(delete(deliveries).filter_by(id=number))

        await self.database.write(work, found=runs_again)

    async def waiting(self) -> int:
        """Returns how many deliveries have not been sent yet."""
        query = select(func.count()).select_from(deliveries).filter_by(state=_WAITING)

        def work(conn: Connection) -> int:
            return conn.execute(query).scalar_one()

        return await self.database.read(work)

    async def _write(self, number: int, **values: Any) -> None:
        await self.database.write(lambda conn: _change(conn, number, **values), found=runs_again)

    def _row(self, delivery: Delivery, subject: Subject, at: datetime) -> Mapping[str, Any]:
        # The digest of the body alone: while secrets change, a repeat may come with another signature.
        digest = self.sealer.digest("delivery", delivery.body.decode("latin-1"))
        headers: list[Json] = [delivery.signature, delivery.content_type]
        return {
            "digest": digest,
            "report_id": subject.report_id,
            "case_id": subject.case_id and folded_id(subject.case_id),
            "received_at": at,
            "state": _WAITING,
            "attempts": 0,
            "headers": self.sealer.seal_json(headers, _HEADERS.at(digest)),
            "body": self.sealer.seal(delivery.body, _BODY.at(digest)),
        }

    def _claimed(self, row: Row[Any]) -> Claimed:
        signature, content_type = self.sealer.open_json(row.headers, _HEADERS.at(row.digest))
        body = self.sealer.open(row.body, _BODY.at(row.digest))
        delivery = Delivery(body, signature, content_type)
        return Claimed(row.id, delivery, row.attempts + 1, row.received_at)


def delete_deliveries_before(conn: Connection, before: datetime) -> int:
    """Removes the deliveries from before `before` in the caller's transaction.

    Returns how many were never sent.
    """
    old = deliveries.c.received_at < before
    unsent = select(func.count()).select_from(deliveries).where(old, deliveries.c.state == _WAITING)
    count = conn.execute(unsent).scalar_one()
    conn.execute(delete(deliveries).where(old))
    return count


def _due(now: Time) -> Select[*tuple[Any, ...]]:
    earlier = deliveries.alias("earlier")
    ahead = exists().where(
        earlier.c.report_id == deliveries.c.report_id,
        earlier.c.state == _WAITING,
        earlier.c.id < deliveries.c.id,
    )
    waiting = (deliveries.c.state == _WAITING, deliveries.c.next_at <= now, ~ahead)
    return select(deliveries).where(*waiting).order_by(deliveries.c.next_at, deliveries.c.id).limit(1)


def _change(conn: Connection, number: int, **values: Any) -> None:
    conn.execute(update(deliveries).where(deliveries.c.id == number).values(**values))
