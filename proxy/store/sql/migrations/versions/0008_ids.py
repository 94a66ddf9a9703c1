"""Folds ids in UUID form to one spelling: calls find them in any, and rows of two spellings are joined.

Adds the table of owners' older hashes, for mail addresses fold too. Their rows move later, when a call has
the keys: only these open the mail address.
"""

import re
from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", re.ASCII)
# Columns with an id that is no part of a key.
_LOOSE = (("journal", "case_id"), ("reports", "case_id"), ("deliveries", "case_id"))
# Tables with a row for each id: the column, the rest of the key, and the column with the row's time.
_KEYED = (
    ("links", "case_id", ("digest",), "created_at"),
    ("transcriptions", "legacy_id", ("owner", "digest"), "created_at"),
    ("conversations", "case_id", ("owner",), None),
    ("pairs", "candidate_id", (), "at"),
    ("pairs", "control_id", (), "at"),
    ("homes", "legacy_id", ("owner",), "at"),
)
_SPELT = {"homes"}


def upgrade() -> None:
    op.add_column("cases", sa.Column("spelling", sa.String, nullable=True))
    op.add_column("homes", sa.Column("spelling", sa.String, nullable=True))
    op.add_column("links", sa.Column("linked_spelling", sa.String, nullable=True))
    op.create_table(
        "owner_aliases",
        sa.Column("alias", sa.String, nullable=False),
        sa.Column("owner", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("alias", name="pk_owner_aliases"),
    )
    op.create_index("ix_owner_aliases_owner", "owner_aliases", ["owner"])
    connection = op.get_bind()
    for name, column in _LOOSE:
        _fold_loose(connection, _table(connection, name), column)
    _fold_linked(connection, _table(connection, "links"))
    for name, column, rest, at in _KEYED:
        _fold_keyed(connection, _table(connection, name), column, rest, at)
    _join_recordings(connection, _table(connection, "recordings"))
    _fold_cases(connection, _table(connection, "cases"), _table(connection, "case_files"))


def _table(connection: sa.Connection, name: str) -> sa.Table:
    return sa.Table(name, sa.MetaData(), autoload_with=connection, resolve_fks=False)


def _spelt(connection: sa.Connection, column: sa.Column[str]) -> Iterator[str]:
    """Returns the ids in UUID form of this column that are spelt with capitals."""
    other = sa.select(column).where(column != sa.func.lower(column)).distinct().order_by(column)
    return (each for each in connection.execute(other).scalars().all() if _UUID.fullmatch(each))


def _fold_loose(connection: sa.Connection, table: sa.Table, name: str) -> None:
    for spelling in _spelt(connection, table.c[name]):
        same = sa.update(table).where(table.c[name] == spelling)
        connection.execute(same.values({name: spelling.lower()}))


def _fold_linked(connection: sa.Connection, links: sa.Table) -> None:
    for spelling in _spelt(connection, links.c.linked_case_id):
        same = sa.update(links).where(links.c.linked_case_id == spelling)
        connection.execute(same.values(linked_case_id=spelling.lower(), linked_spelling=spelling))


def _fold_keyed(
    connection: sa.Connection, table: sa.Table, name: str, rest: tuple[str, ...], at: str | None
) -> None:
    """Folds the column. Of two rows that meet the older stays; without a time, the one that has the key."""
    for spelling in _spelt(connection, table.c[name]):
        for row in connection.execute(sa.select(table).where(table.c[name] == spelling)).mappings().all():
            same = [table.c[each] == row[each] for each in rest]
            here, there = [*same, table.c[name] == spelling], [*same, table.c[name] == spelling.lower()]
            found = connection.execute(sa.select(table).where(*there)).mappings().one_or_none()
            if found is not None and (at is None or found[at] <= row[at]):
                connection.execute(sa.delete(table).where(*here))
                continue
            connection.execute(sa.delete(table).where(*there))
            spelt = {"spelling": spelling} if table.name in _SPELT else {}
            connection.execute(sa.update(table).where(*here).values({name: spelling.lower(), **spelt}))


def _join_recordings(connection: sa.Connection, recordings: sa.Table) -> None:
    """Numbers the recordings of one owner under several spellings of an id in the order of time."""
    for spelling in _spelt(connection, recordings.c.legacy_id):
        folded = spelling.lower()
        here = recordings.c.legacy_id == spelling
        for owner in connection.execute(sa.select(recordings.c.owner).where(here).distinct()).scalars().all():
            both = recordings.c.owner == owner, recordings.c.legacy_id.in_((spelling, folded))
            order = recordings.c.created_at, recordings.c.number, recordings.c.id
            ids = connection.execute(sa.select(recordings.c.id).where(*both).order_by(*order)).scalars().all()
            # Twice: a number that another row still has can't be given.
            for start in (-len(ids), 0):
                for number, each in enumerate(ids, start):
                    one = sa.update(recordings).where(recordings.c.id == each)
                    connection.execute(one.values(legacy_id=folded, number=number))


def _fold_cases(connection: sa.Connection, cases: sa.Table, files: sa.Table) -> None:
    """Folds the ids of cases. A case's files refer to its id: the case is copied, then the files move."""
    for spelling in _spelt(connection, cases.c.id):
        folded = spelling.lower()
        if connection.execute(sa.select(cases.c.id).where(cases.c.id == folded)).first() is not None:
            continue  # two of the platform's cases, of which neither may be lost
        new = {"id": sa.literal(folded), "spelling": sa.literal(spelling)}
        columns = [new.get(column.name, column) for column in cases.columns]
        copied = sa.select(*columns).where(cases.c.id == spelling)
        connection.execute(sa.insert(cases).from_select([column.name for column in cases.columns], copied))
        connection.execute(sa.update(files).where(files.c.case_id == spelling).values(case_id=folded))
        connection.execute(sa.delete(cases).where(cases.c.id == spelling))
