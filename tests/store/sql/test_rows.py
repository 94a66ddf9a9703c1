"""Rows that are made or changed by one statement, in the words of SQLite and of PostgreSQL."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, select
from sqlalchemy.dialects import postgresql, sqlite

from proxy.store.sql.rows import count_up, insert_missing, put, upsert
from proxy.store.sql.tables import differences, ledger, meta, metadata, pairs
from tests.store.examples import NOW, ago

KEY = {
    "route": "doc",
    "path": "a.b",
    "kind": "type",
    "control_type": "string",
    "candidate_type": "null",
    "mapping": "m",
    "organization": "o",
}
CALL = {"client": "c", "day": "2026-03-21", "route": "doc", "mode": "new", "status": 200, "side": "new"}


@pytest.fixture
def conn() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def values(conn: Connection) -> dict[str, bytes]:
    return {row.name: row.value for row in conn.execute(select(meta))}


def test_an_upsert_makes_a_row_and_changes_it(conn: Connection) -> None:
    for value in (b"one", b"two"):
        upsert(conn, meta, {"name": "a"}, {"value": value})
    upsert(conn, meta, {"name": "b"}, {"value": b"three"})
    assert values(conn) == {"a": b"two", "b": b"three"}


def test_put_says_whether_the_row_was_there(conn: Connection) -> None:
    assert [put(conn, meta, {"name": "a"}, {"value": value}) for value in (b"one", b"two")] == [False, True]
    assert values(conn) == {"a": b"two"}


def test_missing_rows_are_made_and_others_left(conn: Connection) -> None:
    upsert(conn, meta, {"name": "a"}, {"value": b"old"})
    insert_missing(conn, meta, [{"name": "a", "value": b"new"}, {"name": "b", "value": b"new"}])
    insert_missing(conn, meta, [])
    assert values(conn) == {"a": b"old", "b": b"new"}


def test_counts_add_up_and_only_what_is_newest_is_set(conn: Connection) -> None:
    for at, count in ((ago(days=1), 2), (NOW, 3)):
        row = {**KEY, "count": count, "sample": {"n": count}, "first_seen": at, "last_seen": at}
        count_up(conn, differences, [row], newest=("sample", "last_seen"))
    count_up(conn, ledger, [{**CALL, "count": 1}, {**CALL, "status": 500, "count": 1}, {**CALL, "count": 4}])
    (found,) = conn.execute(select(differences)).mappings()
    added = {"count": 5, "sample": {"n": 3}, "first_seen": ago(days=1), "last_seen": NOW}
    assert dict(found) == {**KEY, **added}
    calls = conn.execute(select(ledger)).mappings()
    assert {row["status"]: row["count"] for row in calls} == {200: 5, 500: 1}


class Recorded:
    """A connection, and its driver's, that writes down what it is asked to run."""

    rowcount = 0

    def __init__(self, dialect: Any) -> None:
        self.dialect = dialect
        self.connection = self.driver_connection = self.dbapi_connection = self
        self.said: list[str] = []

    def execute(self, statement: str, *_values: Any) -> Any:
        self.said.append(" ".join(statement.split()))
        return self if self.dialect.name == "sqlite" else "INSERT 0 1"

    executemany = execute

    def run_async(self, call: Any) -> Any:
        return call(self)


@pytest.mark.parametrize("dialect", [sqlite.dialect, postgresql.dialect], ids=["sqlite", "postgresql"])
def test_each_is_one_statement_that_meets_a_row_of_another_process(dialect: Any) -> None:
    conn: Any = Recorded(dialect())
    upsert(conn, meta, {"name": "a"}, {"value": b""})
    insert_missing(conn, pairs, [{"control_id": "a", "candidate_id": "b", "owner": "o", "at": NOW}])
    count_up(conn, ledger, [{**CALL, "count": 1}])
    ends = [said.partition(" ON CONFLICT ")[2] for said in conn.said]
    assert ends == [
        "(name) DO UPDATE SET value = excluded.value",
        "(control_id) DO NOTHING",
        "(client, day, route, mode, status, side) DO UPDATE SET count = (ledger.count + excluded.count)",
    ]
