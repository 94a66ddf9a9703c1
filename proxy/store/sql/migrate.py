"""Brings the database file to this release's schema, one process at a time."""

import fcntl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, delete, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError

from proxy.store.errors import StoreError, because
from proxy.store.sql.engines import migration_engine
from proxy.store.sql.rows import upsert
from proxy.store.sql.schema import Migrated, Schema, next_step
from proxy.store.sql.tables import meta, metadata

# The revision of the oldest release that can serve the newest schema. A step that only adds doesn't change
# it. A step that removes or changes what that release uses sets it to a revision whose release does without.
OLDEST: Final = "0013"
OLDEST_NOTE: Final = "oldest_revision"

_ALEMBIC: Final = threading.Lock()  # alembic's context is one per process
# SQLAlchemy's tables have no triggers.
_ADDED_TO: Final = (
    "CREATE TRIGGER audit_no_{name} BEFORE {what} ON audit "
    "BEGIN SELECT RAISE(ABORT, 'the audit is only added to'); END"
)
# As alembic makes it.
_VERSION_TABLE: Final = """
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
)
"""
_VERSIONS: Final = Path(__file__).parent / "migrations" / "versions"


def no_others() -> None:
    """Finds no other process: the default where only one process ever uses the file."""


def migrate(
    path: Path, refuse_others: Callable[[], None] = no_others, *, may_change: bool = True
) -> Migrated:
    """Makes or upgrades the file, in one transaction. Blocks: call it in a thread.

    `refuse_others` raises StoreError while a process lives that could not use the upgraded file. It runs
    under the lock that every process of every release takes before it uses the file. Without `may_change`,
    a file that would have to be made or upgraded is a StoreError.
    """
    engine = migration_engine(path)
    try:
        if not may_change and not path.exists():
            next_step(Schema(empty=True), newest(), may_change=False)
        path.touch(mode=0o600)  # SQLite gives its WAL the mode of the file
        with _alone(path):
            refuse_others()
            with engine.begin() as connection:
                return bring_up_to_date(connection, _make_triggers, may_change=may_change)
    except SQLAlchemyError as error:
        raise because(f"MICHIQ_DATABASE_URL: {path} can't be used", error) from error
    except OSError as error:
        raise because(f"MICHIQ_DATABASE_URL: {error.strerror}: {error.filename}", error) from error
    finally:
        engine.dispose()


def bring_up_to_date(
    connection: Connection, make_beside_tables: Callable[[Connection], None], *, may_change: bool = True
) -> Migrated:
    """Makes the schema in an empty database, or runs the missing steps, in the connection's transaction.

    `make_beside_tables` makes what SQLAlchemy's tables don't have. Raises StoreError (see `next_step`).
    """
    found = _schema(connection)
    step = next_step(found, newest(), may_change=may_change)
    if step == "none":
        return Migrated(found.revision, found.revision or newest())
    if step == "make":
        _make(connection)
        make_beside_tables(connection)
    else:
        _upgrade(connection)
    _note_oldest(connection)
    return Migrated(found.revision, newest())


def newest() -> str:
    """Returns the revision that the last step leads to: the name of the step's file begins with it."""
    return max(path.name.partition("_")[0] for path in _VERSIONS.glob("[0-9]*_*.py"))


def _schema(connection: Connection) -> Schema:
    # Tables of others may stand in the same database.
    if {*inspect(connection).get_table_names()}.isdisjoint({*metadata.tables, "alembic_version"}):
        return Schema(empty=True)
    revision = _revision(connection)
    newer = revision is not None and revision > newest()
    return Schema(empty=False, revision=revision, oldest=_oldest(connection) if newer else None)


def _note_oldest(connection: Connection) -> None:
    """Notes which older releases can serve the schema; without a note, none can."""
    if newest() > OLDEST:
        upsert(connection, meta, {"name": OLDEST_NOTE}, {"value": OLDEST.encode()})
    else:
        connection.execute(delete(meta).where(meta.c.name == OLDEST_NOTE))


def _oldest(connection: Connection) -> str | None:
    """Returns the oldest revision that can serve the schema, as the newest release noted it."""
    if not inspect(connection).has_table(meta.name):
        return None
    noted = connection.scalar(select(meta.c.value).where(meta.c.name == OLDEST_NOTE))
    return noted.decode() if noted is not None else None


def _make(connection: Connection) -> None:
    """Makes the tables that all migrations lead to, without alembic, which takes a tenth of a start."""
    metadata.create_all(connection)
    connection.exec_driver_sql(_VERSION_TABLE)
    connection.execute(text("INSERT INTO alembic_version VALUES (:newest)"), {"newest": newest()})


def _make_triggers(connection: Connection) -> None:
    for what in ("UPDATE", "DELETE"):
        connection.exec_driver_sql(_ADDED_TO.format(name=what.lower(), what=what))


def _revision(connection: Connection) -> str | None:
    """Returns the revision that alembic noted in the file; None when the file has no single one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    rows = connection.exec_driver_sql("SELECT version_num FROM alembic_version").all()
    return rows[0][0] if len(rows) == 1 else None


def _upgrade(connection: Connection) -> None:
    # Imported here: it is rarely needed, and takes a tenth of a second and of a start's memory.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", "proxy.store.sql:migrations")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        said = "the database was made by a newer release; run that release, or restore a backup"
        raise StoreError(said) from error


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    # A file lock: while a new file becomes WAL, SQLite may say "locked" without waiting.
    with _ALEMBIC, path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
