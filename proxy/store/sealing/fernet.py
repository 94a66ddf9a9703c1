"""Notes whether the store may still hold values that an earlier release sealed with Fernet, for no row."""

from typing import Final

from sqlalchemy import Connection, func, select

from proxy.store.sealing.keyring import FORMAT
from proxy.store.sql.rows import upsert
from proxy.store.sql.tables import SEALED, meta

PEPPER: Final = "pepper"
_REFUSED: Final = "fernet_refused"


def is_refused(conn: Connection) -> bool:
    """Returns whether Fernet is refused in this store, by all its processes and for good."""
    return conn.execute(select(meta.c.name).where(meta.c.name == _REFUSED)).first() is not None


def refuse(conn: Connection) -> None:
    """Notes that no value of this store is Fernet's. A new store has this note from its beginning."""
    upsert(conn, meta, {"name": _REFUSED}, {"value": b""})


def refuse_if_none_is_left(conn: Connection) -> bool:
    """Looks at every sealed value, and notes the refusal in the same transaction.

    Returns False when a value of Fernet's is left.
    """
    columns = [column for columns in SEALED.values() for column in columns]
    queries = [select(column).where(func.substr(column, 1, 1) != FORMAT) for column in columns]
    queries.append(
        select(meta.c.value).where(meta.c.name == PEPPER, func.substr(meta.c.value, 1, 1) != FORMAT)
    )
    if any(conn.execute(query.limit(1)).first() is not None for query in queries):
        return False
    refuse(conn)
    return True
