"""Copies rows from one database to another one, page by page, and compares them."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Connection,
    LargeBinary,
    Row,
    Table,
    and_,
    func,
    or_,
    select,
    text,
)

from proxy.store.copy_note import COPY_NOTE, CopyNote, write_note
from proxy.store.errors import StoreError
from proxy.store.sealing.sealer import shown_hash
from proxy.store.sql.migrate import OLDEST_NOTE
from proxy.store.sql.rows import has_one_writer, insert_missing
from proxy.store.sql.tables import meta, metadata, processes
from proxy.store.upkeep.pages import Key, last_of_page, lengths, within

# Parents come before the rows that refer to them. Who serves is no part of a store.
TABLES: Final = tuple(table for table in metadata.sorted_tables if table is not processes)

_ROWS: Final = 1000
_BYTES: Final = 4 * 1024 * 1024
_BATCH: Final = 50  # the engines take long to plan for many more
_NUL: Final = "\0"
# Rows of `meta` about the database itself.
_OWN: Final = (OLDEST_NOTE, COPY_NOTE)
_LAST: Final = text("SELECT pg_sequence_last_value(CAST(pg_get_serial_sequence(:name, :column) AS regclass))")
_ANALYZE: Final = text(f"ANALYZE {', '.join(table.name for table in TABLES)}")
_SET: Final = text("SELECT setval(CAST(pg_get_serial_sequence(:name, :column) AS regclass), :highest)")


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a table, and the key of the last one; a page may have no rows that are copied."""

    table: Table
    rows: Sequence[Row[Any]] = field(repr=False)
    last: Key = field(repr=False)

    def by_key(self) -> dict[Key, tuple[Any, ...]]:
        return _by_key(self.table, self.rows)


def count(conn: Connection, table: Table, up_to: Key | None = None) -> int:
    """Returns how many rows are copied, of all, or of those up to a key."""
    conditions = [*_copied(table), *([] if up_to is None else within(table, None, up_to))]
    return conn.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one()


def next_page(conn: Connection, table: Table, after: Key | None) -> Page | None:
    """Returns the rows whose keys come next; None at the end."""
    last = last_of_page(conn, table, lengths(_large(table)), after, most_rows=_ROWS, most_bytes=_BYTES)
    if last is None:
        return None
    query = select(table).where(*within(table, after, last), *_copied(table))
    return Page(table, conn.execute(query).all(), last)


def write_page(conn: Connection, page: Page, note: CopyNote) -> None:
    """Writes the rows that are not there yet, and how far the copy is. Raises StoreError."""
    if not has_one_writer(conn):
        _refuse_nul(page)
    names = page.table.columns.keys()
    insert_missing(conn, page.table, [dict(zip(names, row, strict=True)) for row in page.rows])
    write_note(conn, note)


def same_rows(conn: Connection, page: Page) -> Mapping[Key, tuple[Any, ...]]:
    """Returns the rows of the page's keys that this database has."""
    keys = [*page.by_key()]
    found: dict[Key, tuple[Any, ...]] = {}
    for start in range(0, len(keys), _BATCH):
        batch = select(page.table).where(_is_one_of(page.table, keys[start : start + _BATCH]))
        found |= _by_key(page.table, conn.execute(batch).all())
    return found


def first_difference(page: Page, there: Mapping[Key, tuple[Any, ...]]) -> str | None:
    """Returns a sentence about the first row that is not there as it is here; None if all are."""
    for key, row in page.by_key().items():
        if there.get(key) != row:
            what = "is missing in the target" if key not in there else "is not the same in the target"
            return f"{_named(page.table, key)} {what}"
    return None


def is_empty(conn: Connection) -> bool:
    """Returns whether nothing is stored yet."""
    found = (
        conn.execute(select(1).select_from(each).where(*_copied(each)).limit(1)).first() for each in TABLES
    )
    return all(row is None for row in found)


def highest_numbers(conn: Connection) -> dict[str, int]:
    """Returns, by table, the highest number that was ever given to a row, as far as the database knows it."""
    found: dict[str, int] = {}
    for table, column in _counted():
        used = [conn.execute(select(func.max(table.c[column]))).scalar_one(), _given(conn, table, column)]
        found[table.name] = max((number for number in used if number is not None), default=0)
    return found


def end_rows(conn: Connection, highest: Mapping[str, int]) -> None:
    """Makes the database ready after the last row: it gives higher numbers than these from now on.

    Until PostgreSQL has looked at new tables, it reads some of them whole where it should use an index.
    """
    for table, column in _counted():
        if number := highest[table.name]:
            _raise(conn, table, column, number)
    if not has_one_writer(conn):
        conn.execute(_ANALYZE)


def _given(conn: Connection, table: Table, column: str) -> int | None:
    """Returns the highest number that the database itself has given, also to a row that was removed."""
    if not has_one_writer(conn):
        last: int | None = conn.execute(_LAST, {"name": table.name, "column": column}).scalar_one()
        return last
    if not table.dialect_options["sqlite"]["autoincrement"]:
        return None
    given = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
    return conn.execute(given, {"name": table.name}).scalar_one_or_none()


def _raise(conn: Connection, table: Table, column: str, number: int) -> None:
    values = {"name": table.name, "highest": number}
    if not has_one_writer(conn):
        conn.execute(_SET, {**values, "column": column})
    elif table.dialect_options["sqlite"]["autoincrement"]:
        conn.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
        conn.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :highest)"), values)


def _counted() -> Iterator[tuple[Table, str]]:
    """Yields the tables whose rows are numbered by the database, with the column of the numbers."""
    return ((each, each.autoincrement_column.key) for each in TABLES if each.autoincrement_column is not None)


def _large(table: Table) -> list[Column[Any]]:
    """Returns the columns whose values may be large."""
    return [column for column in table.columns if isinstance(column.type, LargeBinary | JSON)]


def _copied(table: Table) -> list[ColumnElement[bool]]:
    return [meta.c.name.not_in(_OWN)] if table is meta else []


def _is_one_of(table: Table, keys: Sequence[Key]) -> ColumnElement[bool]:
    columns = [*table.primary_key.columns]
    if len(columns) == 1:
        found: ColumnElement[bool] = columns[0].in_([key[0] for key in keys])
        return found
    # SQLite reads the whole table for (a, b) IN (…), and PostgreSQL makes this of it anyway.
    pairs = (zip(columns, key, strict=True) for key in keys)
    return or_(*(and_(*(column == value for column, value in each)) for each in pairs))


def _by_key(table: Table, rows: Sequence[Row[Any]]) -> dict[Key, tuple[Any, ...]]:
    names = table.columns.keys()
    at = [names.index(name) for name in table.primary_key.columns.keys()]  # noqa: SIM118  # a collection yields its columns
    return {tuple(row[each] for each in at): tuple(row) for row in rows}


def _refuse_nul(page: Page) -> None:
    """Raises StoreError for a text that PostgreSQL can't store."""
    names = page.table.columns.keys()
    for key, row in page.by_key().items():
        for name, value in zip(names, row, strict=True):
            if isinstance(value, str) and _NUL in value:
                raise StoreError(
                    f"{_named(page.table, key)} has a NUL character in {name}, which PostgreSQL can't store; "
                    f"in the source, erase what such rows are of: those of which instr({name}, char(0)) > 0 "
                    "is true; then run this again"
                )


def _named(table: Table, key: Key) -> str:
    """Returns the name of a row for messages: its key may be somebody's."""
    digest = hashlib.sha256(repr(key).encode("utf-8", "surrogatepass")).hexdigest()
    return f"a row of {table.name} (key {shown_hash(digest)})"
