"""Brings the database file to this release's schema, one process at a time."""

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError

from proxy.store.engines import migration_engine
from proxy.store.errors import StoreError, because

_ALEMBIC: Final = threading.Lock()  # alembic's context is one per process


def migrate(path: Path) -> None:
    """Makes or upgrades the file, in one transaction. Blocks, and starts a loop: call it in a thread."""
    engine = migration_engine(path)
    config = Config()
    config.set_main_option("script_location", "proxy.store:migrations")
    try:
        path.touch(mode=0o600)  # SQLite gives its WAL the mode of the file
        with _alone(path), engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as error:
        raise StoreError("the database was made by a newer release; run that one, or a backup") from error
    except SQLAlchemyError as error:
        raise because(f"MICHIQ_DATABASE_URL: {path} can't be used", error) from error
    except OSError as error:
        raise because(f"MICHIQ_DATABASE_URL: {error.strerror}: {error.filename}", error) from error
    finally:
        engine.dispose()


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    # A file lock: while a new file becomes WAL, SQLite may say "locked" whatever its time limit is.
    with _ALEMBIC, path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
