"""Reads what was added to cases after they were made: transcriptions of their audio, and reports on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import (
    BindParameter,
    CompoundSelect,
    Connection,
    Float,
    LargeBinary,
    Row,
    String,
    bindparam,
    cast,
    exists,
    literal_column,
    null,
    or_,
    select,
    union_all,
)

from proxy.store.records.reports import DELETED, Reports
from proxy.store.records.transcriptions import Transcriptions
from proxy.store.sql.database import Database
from proxy.store.sql.point_reads import PointRead
from proxy.store.sql.rows import batches
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
_TRANSCRIPTION: Final = 0  # the `kind` of a row; all others are reports


def _statement() -> CompoundSelect[Any]:
    """Returns the one statement that reads all additions: to a database elsewhere, each one takes a while.

    `case_id` is the main case. A report comes twice if its case is linked to another one: that counts last.
    """
    ids: BindParameter[Any] = bindparam("ids", expanding=True)
    report = (
        reports.c.case_id.label("own_case"),
        reports.c.id,
        reports.c.body,
        cast(null(), Float).label("seconds"),
        reports.c.at,
        reports.c.agent_id,
    )
    return union_all(
        select(
            literal_column("0").label("kind"),
            transcriptions.c.legacy_id.label("case_id"),
            transcriptions.c.legacy_id.label("own_case"),
            transcriptions.c.digest.label("id"),
            cast(transcriptions.c.text, LargeBinary).label("body"),
            transcriptions.c.seconds,
            transcriptions.c.created_at.label("at"),
            cast(null(), String).label("agent_id"),
        ).where(transcriptions.c.owner == bindparam("owner"), transcriptions.c.legacy_id.in_(ids)),
        select(literal_column("1"), reports.c.case_id, *report).where(
            reports.c.case_id.in_(ids), reports.c.rank != DELETED
        ),
        select(literal_column("2"), links.c.case_id, *report).where(
            links.c.case_id.in_(ids), reports.c.case_id == links.c.linked_case_id, reports.c.rank != DELETED
        ),
    )


_ALL: Final = _statement()


@dataclass(frozen=True, slots=True)
class Addition:
    """The additions to one case: transcriptions in order, reports newest first."""

    transcriptions: Sequence[Transcription] = field(default=(), repr=False)
    reports: Sequence[Report] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Additions:
    """Reads all additions to cases in one read; a report on a linked case counts as one on its main case.

    `near` says that the database is in this process: a first look takes microseconds there.
    """

    database: Database
    transcriptions: Transcriptions
    reports: Reports
    near: bool

    async def of(self, owner: str, case_ids: Sequence[str]) -> list[Addition]:
        """Returns the additions to each of the owner's cases, in the order of `case_ids`."""
        ids = [folded_id(each) for each in case_ids]
        if self.near and len(ids) == 1 and not (await self.database.find(_ANY, owner=owner, id=ids[0])).any:
            return [Addition()]  # most cases have none, and then another thread would cost for nothing
        # One statement needs no transaction to see one state.
        run = self.database.read if self.near or len(ids) > 1 else self.database.lookup
        return await run(lambda conn: self._read(conn, owner, ids))

    def _read(self, conn: Connection, owner: str, ids: Sequence[str]) -> list[Addition]:
        rows: list[Row[Any]] = []
        for batch in batches(ids):
            rows += conn.execute(_ALL, {"owner": owner, "ids": batch})
        transcribed: Mapping[str, list[Transcription]] = {each: [] for each in ids}
        reported: dict[str, tuple[str, Report]] = {}
        for row in sorted(rows, key=lambda row: (row.kind, row.at, row.id)):
            if row.kind == _TRANSCRIPTION:
                opened = self.transcriptions.opened(row.case_id, row.id, row.body, row.seconds, row.at)
                transcribed[row.case_id].append(opened)
            else:
                report = self.reports.opened(row.id, row.own_case, row.at, row.agent_id, row.body)
                reported[row.id] = row.case_id, report
        newest = sorted(reported.values(), key=lambda found: (found[1].at, found[1].id), reverse=True)
        reports_of: Mapping[str, list[Report]] = {each: [] for each in ids}
        for case_id, report in newest:
            reports_of[case_id].append(report)
        return [Addition(transcribed[each], reports_of[each]) for each in ids]
