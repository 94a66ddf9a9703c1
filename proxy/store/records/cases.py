"""Reads the durable records of cases (CONTRACT N18), and makes the rows that `Journal.record` writes."""

import asyncio
import zlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, insert, or_, select

from proxy import jsons
from proxy.compressed import Compressed
from proxy.store.sealing.contexts import SealedColumn
from proxy.store.sealing.sealer import Sealer
from proxy.store.sql.database import Database
from proxy.store.sql.memory import Memory
from proxy.store.sql.point_writes import PointWrite
from proxy.store.sql.rows import own_spelling
from proxy.store.sql.tables import case_files, cases
from proxy.values import Case, CaseFile, Json, Tokens, folded_id

_CONTENT: Final = SealedColumn(cases.c.content)
_EHR: Final = SealedColumn(cases.c.ehr)
_ABOUT: Final = SealedColumn(case_files.c.about)
_TEXT: Final = SealedColumn(case_files.c.text)
_PAGE: Final = 50
_SEALED_AT_ONCE: Final = 256 * 1024  # bytes; AES takes 40 µs for them
_SMALL: Final = 16 * 1024  # bytes, compressed, of a case that is cached in memory
_BY_ID: Final = select(cases).where(cases.c.id == bindparam("id"))
_FILES_OF: Final = (
    select(case_files).where(case_files.c.case_id == bindparam("id")).order_by(case_files.c.position)
)
_NEWEST_FIRST: Final = cases.c.created_at.desc(), cases.c.id
_INSERT: Final = PointWrite(insert(cases))
_INSERT_FILE: Final = PointWrite(insert(case_files))
_GZIP: Final = b"\x1f\x8b"  # RFC 1952, section 2.3.1


@dataclass(frozen=True, slots=True)
class Cases:
    """Cases by id and by owner. What a case says of its patient is one sealed value; a thread opens it."""

    database: Database
    sealer: Sealer
    memory: Memory

    async def get(self, case_id: str) -> Case | None:
        """Returns the case of any owner; the caller compares `owner`, for D02, E01 and U03 differ."""
        key, mark = folded_id(case_id), self.memory.mark()
        cached: Case | None = self.memory.get("case", key)
        if cached is not None:
            return cached
        case = await self.database.read(lambda conn: self._one(conn, key))
        if case is not None and _size(case) <= _SMALL:
            self.memory.keep("case", key, case, mark)
        return case

    def _one(self, conn: Connection, key: str) -> Case | None:
        row = conn.execute(_BY_ID, {"id": key}).one_or_none()
        if row is None:
            return None
        return _case(self.sealer, row, conn.execute(_FILES_OF, {"id": key}).all())

    async def pages(self, owner: str) -> AsyncGenerator[list[Case], None]:
        """Yields all cases of this user in this organization, newest first (L01), in pages.

        There may be thousands.
        """
        rest = cases.c.owner == owner
        while True:
            ids = select(cases.c.id).where(rest).order_by(*_NEWEST_FIRST).limit(_PAGE)
            page = await self._where(cases.c.id.in_(ids))
            if page:
                yield page
            if len(page) < _PAGE:
                return
            rest = and_(cases.c.owner == owner, _after(page[-1]))

    async def _where(self, condition: ColumnElement[bool]) -> list[Case]:
        newest_first = select(cases).where(condition).order_by(*_NEWEST_FIRST)
        of_them = select(case_files).join(cases).where(condition).order_by(case_files.c.position)

        def work(conn: Connection) -> list[Case]:
            return self._opened(conn.execute(newest_first).all(), conn.execute(of_them).all())

        return await self.database.read(work)

    def _opened(self, rows: Sequence[Row[Any]], files: Sequence[Row[Any]]) -> list[Case]:
        own: dict[str, list[Row[Any]]] = {row.id: [] for row in rows}
        for file in files:
            own[file.case_id].append(file)
        return [_case(self.sealer, row, own[row.id]) for row in rows]


def _after(last: Case) -> ColumnElement[bool]:
    """Returns the condition of the cases behind this one in the order of _NEWEST_FIRST."""
    older, as_old = cases.c.created_at < last.created_at, cases.c.created_at == last.created_at
    return or_(older, and_(as_old, cases.c.id > folded_id(last.id)))


def insert_case(conn: Connection, rows: "CaseRows") -> None:
    """Writes the rows that `case_rows` made."""
    _INSERT.run(conn, rows.case)
    if rows.files:
        _INSERT_FILE.run_all(conn, rows.files)


def _size(case: Case) -> int:
    packed = sum(file.text.size for file in case.files) + (case.ehr.size if case.ehr else 0)
    return packed + len(case.conversation)


@dataclass(frozen=True, slots=True)
class CaseRows:
    """A case as it is stored: its row, and a row for each file, since a file's text may be megabytes."""

    case: dict[str, Any]
    files: Sequence[dict[str, Any]]


async def case_rows_of(sealer: Sealer, case: Case) -> CaseRows:
    """Seals all that the case says of its patient, in a thread where that takes longer than the way there."""
    if _size(case) <= _SEALED_AT_ONCE:
        return case_rows(sealer, case)
    return await asyncio.to_thread(case_rows, sealer, case)


def case_rows(sealer: Sealer, case: Case) -> CaseRows:
    """Seals all that the case says of its patient. Sealing takes time: call it in a thread."""
    files = [_file_columns(sealer, folded_id(case.id), *each) for each in enumerate(case.files)]
    return CaseRows(_columns(sealer, case), files)


def _file_columns(sealer: Sealer, case_id: str, position: int, file: CaseFile) -> dict[str, Any]:
    about: list[Json] = [file.name, file.content_type, file.size, file.sha256]
    return {
        "case_id": case_id,
        "position": position,
        "about": sealer.seal_json(about, _ABOUT.at(case_id, position)),
        "text": sealer.seal(file.text.gzip, _TEXT.at(case_id, position)),
    }


def _columns(sealer: Sealer, case: Case) -> dict[str, Any]:
    case_id = folded_id(case.id)
    return {
        "id": case_id,
        "spelling": own_spelling(case.id),
        "owner": case.owner,
        "created_at": case.created_at,
        "runtime_ms": case.runtime_ms,
        "tokens_conversation": case.tokens.conversation,
        "tokens_ehr": case.tokens.ehr,
        "tokens_documents": case.tokens.documents,
        "template": case.template,
        "agent": case.agent,
        "content": sealer.seal_json(
            {
                "user": case.user,
                "organization": case.organization,
                "patient_id": case.patient_id,
                "patient_name": case.patient_name,
                "title": case.title,
                "conversation": case.conversation,
            },
            _CONTENT.at(case_id),
        ),
        "ehr": sealer.seal(case.ehr.gzip, _EHR.at(case_id)) if case.ehr else None,
    }


def _case(sealer: Sealer, row: Row[Any], files: Sequence[Row[Any]]) -> Case:
    content = sealer.open_json(row.content, _CONTENT.at(row.id))
    return Case(
        id=row.spelling or row.id,
        owner=row.owner,
        created_at=row.created_at,
        runtime_ms=row.runtime_ms,
        tokens=Tokens(row.tokens_conversation, row.tokens_ehr, row.tokens_documents),
        template=row.template,
        agent=row.agent,
        files=tuple(_file(sealer, file) for file in files),
        ehr=_ehr(sealer, row, content.pop("ehr", None)),
        **content,
    )


def _ehr(sealer: Sealer, row: Row[Any], within: Json) -> Compressed | None:
    """Returns the case's ehr; `within` is the ehr of the first releases, part of the sealed content."""
    if row.ehr is not None:
        return Compressed.again(sealer.open(row.ehr, _EHR.at(row.id)))
    return None if within is None else Compressed.from_text(jsons.dump(within))


def _file(sealer: Sealer, row: Row[Any]) -> CaseFile:
    key = row.case_id, row.position
    name, content_type, size, digest = sealer.open_json(row.about, _ABOUT.at(*key))
    text = sealer.open(row.text, _TEXT.at(*key))
    # The first releases compressed the text without a header.
    packed = Compressed.again(text) if text.startswith(_GZIP) else Compressed.from_text(zlib.decompress(text))
    return CaseFile(name, content_type, size, digest, packed)
