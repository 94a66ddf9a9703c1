"""Stores clinical reports as the newest webhook event left them (CONTRACT W02, W03)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, select

from proxy.store.audit.trail import erasure_turn, is_erased
from proxy.store.sealing.contexts import SealedColumn
from proxy.store.sealing.sealer import Sealer
from proxy.store.sql.database import Database, Turn, Work, runs_again
from proxy.store.sql.rows import batches, upsert
from proxy.store.sql.tables import reports
from proxy.values import Report, ReportEvent, folded_id

_BODY: Final = SealedColumn(reports.c.body)
_RANKS: Final[Mapping[str, int]] = {"report.created": 0, "report.updated": 1, "report.deleted": 2}
DELETED: Final = _RANKS["report.deleted"]
_ALIVE: Final = select(reports).where(
    reports.c.case_id.in_(bindparam("case_ids", expanding=True)), reports.c.rank != DELETED
)
# A bound, lest a platform whose clock stands still fill a row. An event so long ago is not sent again.
_MAX_EARLIER: Final = 64


@dataclass(frozen=True, slots=True)
class Reports:
    """The reports, one row each, of recorded cases and of cases that are not recorded yet.

    A row holds the highest event in the order of `_order`; of equal ones the last that came, and the
    fingerprints of the others. So events that come late or twice change nothing.
    """

    database: Database
    sealer: Sealer

    async def apply(self, event: ReportEvent, received_at: datetime) -> bool:
        """Stores the event if it is newer than the stored one, and its case was not erased.

        Returns False when it changed nothing.
        """
        work, turns = self.applying(event, received_at), self.turns(event.report_id, event.case_id)
        return await self.database.write(work, turns=turns, found=runs_again)

    def turns(self, report_id: str | None, case_id: str | None) -> list[Turn]:
        """Returns the turns of an event on this report and this case, as far as it names them.

        Events on one report come one after the other, and none between the parts of an erasure.
        """
        case = [] if case_id is None else [erasure_turn(self.sealer.case(case_id))]
        return case if report_id is None else [*case, ("report", report_id)]

    def applying(self, event: ReportEvent, received_at: datetime) -> Work[bool]:
        """Returns the work of `apply`, for a write that does more, and that has its `turns`."""
        values, cases = self._values(event, received_at), self.sealer.case_hashes(event.case_id)

        def work(conn: Connection) -> bool:
            if is_erased(conn, cases):
                return False
            stored = conn.execute(select(reports).filter_by(id=event.report_id)).one_or_none()
            earlier = "" if stored is None else _earlier(values, stored._asdict())
            if earlier is None:
                return False
            upsert(conn, reports, {"id": event.report_id}, {**values, "earlier": earlier})
            return True

        return work

    async def of_cases(self, case_ids: Sequence[str]) -> list[Report]:
        """Returns the reports of all these cases, newest first, without the deleted ones."""
        return await self.database.read(lambda conn: self.within(conn, case_ids))

    def within(self, conn: Connection, case_ids: Sequence[str]) -> list[Report]:
        """Returns the reports of `of_cases`, in a unit of work that reads more."""
        rows: list[Row[Any]] = []
        for batch in batches([folded_id(each) for each in case_ids]):
            rows += conn.execute(_ALIVE, {"case_ids": batch}).all()
        newest = sorted(rows, key=lambda row: (row.at, row.id), reverse=True)
        return [self.opened(row.id, row.case_id, row.at, row.agent_id, row.body) for row in newest]

    def _values(self, event: ReportEvent, received_at: datetime) -> dict[str, Any]:
        rank = _RANKS[event.event]
        body = [event.content or "", event.structured_data]
        return {
            "case_id": folded_id(event.case_id),
            "at": event.at,
            "rank": rank,
            "fingerprint": self.sealer.digest(
                event.case_id, event.agent_id or "", json.dumps(body, sort_keys=True)
            ),
            "received_at": received_at,
            "agent_id": event.agent_id,
            "body": None if rank == DELETED else self.sealer.seal_json(body, _BODY.at(event.report_id)),
        }

    def opened(self, report_id: str, case_id: str, at: datetime, agent_id: str | None, body: bytes) -> Report:
        """Returns the report of a row's values."""
        content, structured_data = self.sealer.open_json(body, _BODY.at(report_id))
        return Report(report_id, case_id, at, agent_id, content, structured_data, len(body))


def _earlier(event: Mapping[str, Any], stored: Mapping[str, Any]) -> str | None:
    """Returns the earlier fingerprints of the event's row; None for an event that changes nothing.

    Between two equal events the store's order decides (CONTRACT W03), which is that of their arrival.
    """
    mine, theirs = _order(**event), _order(**stored)
    if mine != theirs:
        return "" if mine > theirs else None
    seen = [*stored["earlier"].split(), stored["fingerprint"]]
    return None if event["fingerprint"] in seen else " ".join(seen[-_MAX_EARLIER:])


def _order(*, rank: int, at: datetime, **_rest: object) -> tuple[bool, datetime, int]:
    """Returns a report event's sort key: a deletion over all, then by time, then updated over created."""
    return rank == DELETED, at, rank
