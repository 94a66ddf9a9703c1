"""Statements that go straight to the driver write what SQLAlchemy would."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, create_engine, delete, insert, select, update

from proxy.store.sql.dialects import json_text
from proxy.store.sql.point_writes import PointWrite
from proxy.store.sql.tables import metadata, requests, sessions

AT = datetime(2026, 3, 21, 12, 0, 0, 5, tzinfo=UTC)
ROWS: list[dict[str, Any]] = [
    {"request_id": "r-1", "at": AT, "story": {"ü": [1, None, 2.5]}},
    {"request_id": "r-2", "at": AT, "story": None},
]


def written(conn: Connection) -> list[Any]:
    return [*conn.exec_driver_sql("SELECT * FROM requests"), *conn.execute(select(requests))]


def test_rows_changes_and_removals_are_what_sqlalchemy_writes() -> None:
    of = requests.c.request_id == bindparam("which")
    found = []
    for is_prepared in (True, False):
        engine = create_engine("sqlite://", json_serializer=json_text)
        with engine.begin() as conn:
            metadata.create_all(conn)
            for statement, rows in (
                (insert(requests), ROWS),
                (update(requests).where(of), [{"which": "r-1", "at": AT.replace(year=2027)}]),
                (delete(requests).where(of), [{"which": "r-2"}]),
            ):
                if is_prepared:
                    PointWrite(statement).run_all(conn, rows)
                else:
                    conn.execute(statement, rows)
            found.append(written(conn))
    assert found[0] == found[1]
    assert found[0][0][1] == "r-1"


def test_a_write_tells_how_many_rows_it_found() -> None:
    write = PointWrite(update(sessions).where(sessions.c.token_hash == bindparam("token")))
    with create_engine("sqlite://").begin() as conn:
        metadata.create_all(conn)
        assert write.run(conn, {"token": "t", "side": "new"}) == 0
