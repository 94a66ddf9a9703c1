"""Makes one step of a rotation: seals the values of some rows of a table again, in the keys' order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Column, Connection, Row, Table, func, select, update

from proxy.store.errors import StoreError
from proxy.store.sealing.contexts import NATURAL_KEYS, SealedColumn
from proxy.store.sealing.sealer import Sealer
from proxy.store.upkeep.pages import last_of_page, lengths, within

# The limits of one step: all other writes wait for its write, and a row may have megabytes.
_BYTES: Final = 1024 * 1024
_ROWS: Final = 200


@dataclass(frozen=True, slots=True)
class Resealed:
    """A row's new values, and the old values that they are made of."""

    key: Mapping[str, Any]
    old: Mapping[str, bytes] = field(repr=False)
    new: Mapping[str, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Step:
    """The result of one step.

    `older` values are under an older key or in the form of an earlier release. `lost` values open with no
    key, or not in this row.
    """

    rows: int
    last: tuple[Any, ...] = field(repr=False)
    changes: tuple[Resealed, ...]
    older: int
    lost: int


def count_rows(conn: Connection, table: Table) -> int:
    return conn.execute(select(func.count()).select_from(table)).scalar_one()


def next_rows(
    conn: Connection, table: Table, columns: Sequence[Column[Any]], after: tuple[Any, ...] | None
) -> Sequence[Row[Any]]:
    """Returns the rows whose keys come next: as many as are together not too large, and at least one."""
    last = last_of_page(conn, table, lengths(columns), after, most_rows=_ROWS, most_bytes=_BYTES)
    if last is None:
        return []
    natural = [column for column in NATURAL_KEYS[table] if not column.primary_key]
    query = select(*table.primary_key.columns, *natural, *columns).where(*within(table, after, last))
    rows: Sequence[Row[Any]] = conn.execute(query.order_by(*table.primary_key.columns)).all()
    return rows


def step(sealer: Sealer, table: Table, columns: Sequence[Column[Any]], rows: Sequence[Row[Any]]) -> Step:
    """Seals the values under an older key, or in the form of an earlier release, again.

    It takes time: call it in a thread.
    """
    names = table.primary_key.columns.keys()
    changes, older, lost = [], 0, 0
    for row in rows:
        change, unreadable = _change(sealer, dict(zip(names, row, strict=False)), row, columns)
        older += len(change.new)
        lost += unreadable
        changes += [change] if change.new else []
    return Step(len(rows), tuple(rows[-1][: len(names)]), tuple(changes), older, lost)


def write_step(conn: Connection, table: Table, changes: Sequence[Resealed]) -> None:
    """Writes each change, unless somebody has changed the row meanwhile: that value is newer."""
    for change in changes:
        same = [table.c[name] == value for name, value in {**change.key, **change.old}.items()]
        conn.execute(update(table).where(*same).values(**change.new))


def _change(
    sealer: Sealer, key: Mapping[str, Any], row: Row[Any], columns: Sequence[Column[Any]]
) -> tuple[Resealed, int]:
    new: dict[str, bytes] = {}
    lost = 0
    for column in columns:
        value = row._mapping[column]
        try:
            renewed = None if value is None else sealer.renewed(value, SealedColumn(column).of(row))
        except StoreError:
            lost += 1
            continue
        if renewed is not None:
            new[column.name] = renewed
    return Resealed(key, {name: row._mapping[name] for name in new}, new), lost
