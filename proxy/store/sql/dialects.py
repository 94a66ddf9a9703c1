"""Names the two dialects of SQL, and reaches past SQLAlchemy to their drivers."""

import json
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any, Final

import orjson
from sqlalchemy import Connection, Dialect
from sqlalchemy.dialects import sqlite


def json_text(value: Any) -> str:
    """Returns the value as JSON; orjson takes a twelfth of the time, and each request's trace is written."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:  # half of an emoji, or an integer beyond 64 bits
        return json.dumps(value)


SQLITE: Final = sqlite.dialect(paramstyle="qmark", json_serializer=json_text)
POSTGRESQL: Final = "postgresql"
OVERRIDDEN: Final = "michiq_overrides"  # the channel of notes that an override has changed


@cache
def postgresql() -> Dialect:
    """Returns PostgreSQL's dialect, with the parameters of its driver asyncpg."""
    # Imported only here, where it is used: it takes a tenth of a second.
    from sqlalchemy.dialects.postgresql.asyncpg import dialect

    made: Dialect = dialect(json_serializer=json_text)  # type: ignore[no-untyped-call]
    return made


def notify(conn: Connection, channel: str) -> None:
    """Sends a note to all processes once the transaction is committed, where the engine has such notes.

    For rare changes only: while it commits, PostgreSQL lets no other transaction with a note commit.
    """
    if conn.dialect.name == POSTGRESQL:
        on_driver(conn, lambda driver: driver.fetchval("SELECT pg_notify($1, '')", channel))


def on_driver(conn: Connection, call: Callable[[Any], Awaitable[Any]]) -> Any:
    """Returns the result of a call of asyncpg's connection, from within a unit of work."""
    adapted: Any = conn.connection.dbapi_connection
    return adapted.run_async(call)
