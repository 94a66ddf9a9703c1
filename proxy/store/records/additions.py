"""Reads what was added to cases after they were made: transcriptions of their audio, and reports on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, String, bindparam, exists, or_, select

from proxy.store.records.links import links_of
from proxy.store.records.reports import Reports
from proxy.store.records.transcriptions import Transcriptions
from proxy.store.sql.database import Database
from proxy.store.sql.point_reads import PointRead
from proxy.store.sql.tables import links, reports, transcriptions
from proxy.values import Report, Transcription, folded_id

_ID: Final = bindparam("id", type_=String)
_ANY: Final = PointRead(
    select(
        or_(
            exists().where(transcriptions.c.owner == bindparam("owner"), transcriptions.c.legacy_id == _ID),
            exists().where(reports.c.case_id == _ID),
            exists().where(links.c.case_id == _ID),
        ).label("any")
    )
)


@dataclass(frozen=True, slots=True)
class Addition:
    """The additions to one case: transcriptions in order, reports newest first."""

    transcriptions: Sequence[Transcription] = field(default=(), repr=False)
    reports: Sequence[Report] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Additions:
    """Reads all additions to cases in one read; a report on a linked case counts as one on its main case."""

    database: Database
    transcriptions: Transcriptions
    reports: Reports

    async def of(self, owner: str, case_ids: Sequence[str]) -> list[Addition]:
        """Returns the additions to each of the owner's cases, in the order of `case_ids`."""
        ids = [folded_id(each) for each in case_ids]
        if len(ids) == 1 and not (await self.database.find(_ANY, owner=owner, id=ids[0])).any:
            return [Addition()]  # most cases have none, and then another thread would cost for nothing
        return await self.database.read(lambda conn: self._read(conn, owner, ids))

    def _read(self, conn: Connection, owner: str, ids: Sequence[str]) -> list[Addition]:
        main_of = {each: each for each in ids}
        main_of |= {folded_id(each.case_id): each.legacy_id for each in links_of(conn, ids) if each.case_id}
        transcribed = self.transcriptions.within(conn, owner, ids)
        reported: Mapping[str, list[Report]] = {each: [] for each in ids}
        for report in self.reports.within(conn, list(main_of)):
            reported[main_of[report.case_id]].append(report)
        return [Addition(transcribed[each], reported[each]) for each in ids]
