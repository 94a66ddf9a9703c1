"""The named points, and how a process of the proxy is made to kill itself there.

Nothing of it is in the proxy: its functions are wrapped from outside, by `tests.crash.serve`.
"""

import inspect
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from typing import Any, Final, TypeAlias

from sqlalchemy import Engine, event

import proxy.flows.new_case.flow
import proxy.flows.speech_to_text.linked_case
import proxy.store.blobs.folder
import proxy.store.records.journal
import proxy.store.records.reports
import proxy.store.sql.migrate
import proxy.web.webhooks
from proxy.concurrency.tasks import Tasks
from proxy.postgresql_url import is_postgresql
from proxy.server.shutdown import Ending
from proxy.store.audit.trail import Audit
from proxy.store.blobs.folder import FolderWriter
from proxy.store.blobs.s3_writer import S3Writer
from proxy.store.records.journal import Journal
from proxy.store.records.links import Links
from proxy.store.records.recordings import Recordings
from proxy.store.rollout.overrides import OverrideStore
from proxy.store.sql.sqlite import SqliteDatabase
from proxy.store.watched_database import WatchedDatabase
from proxy.upstream.llamalitica import Llamalitica

# Killed from outside, by the platform that has just made the case.
SENT: Final = "sent"
# The platform makes a case, and refuses its caller at the same time.
REFUSED: Final = "refused"
# Counts statements: `migration:17` is killed at the 17th.
MIGRATION: Final = "migration"


@dataclass(frozen=True, slots=True)
class Trap:
    """Springs where the file names its point, as `POINT:WAY`."""

    file: Path
    name: str

    @property
    def armed(self) -> bool:
        return armed(self.file) == self.name

    def __call__(self) -> None:
        if self.armed:
            kill()


Lay: TypeAlias = Callable[[Trap], None]


def armed(file: Path) -> str:
    try:
        return file.read_text()
    except FileNotFoundError:
        return ""


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _before(owner: Any, name: str) -> Lay:
    return partial(_wrap, owner, name, at_start=True)


def _after(owner: Any, name: str) -> Lay:
    return partial(_wrap, owner, name, at_start=False)


def _wrap(owner: Any, name: str, trap: Trap, *, at_start: bool) -> None:
    awaited = inspect.iscoroutinefunction(getattr(owner, name))
    _wrap_with(owner, name, partial(_awaited if awaited else _called, trap=trap, at_start=at_start))


def _wrap_with(owner: Any, name: str, wrap: Callable[[Any], Any]) -> None:
    setattr(owner, name, wrap(getattr(owner, name)))


def _awaited(wrapped: Callable[..., Any], *, trap: Trap, at_start: bool) -> Callable[..., Any]:
    @wraps(wrapped)
    async def around(*args: Any, **options: Any) -> Any:
        if at_start:
            trap()
        result = await wrapped(*args, **options)
        if not at_start:
            trap()
        return result

    return around


def _called(wrapped: Callable[..., Any], *, trap: Trap, at_start: bool) -> Callable[..., Any]:
    @wraps(wrapped)
    def around(*args: Any, **options: Any) -> Any:
        if at_start:
            trap()
        result = wrapped(*args, **options)
        if not at_start:
            trap()
        return result

    return around


def _checkpoint(seconds: float) -> Lay:
    """Returns a trap that kills within a checkpoint, so long after its first page is in the file."""

    def lay(trap: Trap) -> None:
        record = Journal.record

        async def around(journal: Journal, *args: Any) -> None:
            await record(journal, *args)
            if trap.armed:
                assert isinstance(journal.database, WatchedDatabase)
                database = journal.database._database
                assert isinstance(database, SqliteDatabase)
                _kill_within_checkpoint(database._path, seconds)

        _wrap_with(Journal, "record", lambda _: around)

    return lay


def _kill_within_checkpoint(path: Path, seconds: float) -> None:
    before = path.stat().st_mtime_ns
    threading.Thread(target=_write_back, args=[path], daemon=True).start()
    end = time.monotonic() + 5
    while path.stat().st_mtime_ns == before and time.monotonic() < end:
        pass
    time.sleep(seconds)
    kill()


def _write_back(path: Path) -> None:
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


# Each point with the ways in which it is met, which the rounds go through in turn.
POINTS: Final[Mapping[str, Sequence[Lay]]] = {
    "accept": [
        _after(proxy.flows.new_case.flow, "read_caller"),
        _after(proxy.flows.new_case.flow, "read_form"),
    ],
    "journal": [_before(Journal, "begin"), _after(Journal, "begin")],
    "me": [_before(Llamalitica, "me"), _after(Llamalitica, "me")],
    "before-send": [_before(Llamalitica, "create_case")],
    SENT: [],
    "answered": [_after(Llamalitica, "create_case")],
    # Within the transaction: its rows are written, and not committed.
    "before-row": [_before(Journal, "record"), _after(proxy.store.records.journal, "insert_case")],
    "after-row": [_after(Journal, "record")],
    REFUSED: [_before(Journal, "fail"), _after(Journal, "fail")],
    "checkpoint": [_checkpoint(0), _checkpoint(0.0005), _checkpoint(0.002)],
    MIGRATION: [],
    "mode": [_before(Audit, "append_in"), _after(OverrideStore, "_write"), _after(OverrideStore, "change")],
    "webhook": [_after(proxy.store.records.reports, "upsert"), _after(proxy.web.webhooks, "keep")],
    "blob": [
        _before(FolderWriter, "commit"),
        _before(proxy.store.blobs.folder, "make_private"),
        _after(FolderWriter, "commit"),
        _after(Recordings, "add_chunk"),
    ],
    "drain": [_before(Ending, "notice"), _before(Ending, "leave"), _before(Tasks, "drain")],
    # Transcribed, and the linked case promised: the next process has to make it.
    "linked": [_after(Links, "plan"), _before(proxy.flows.speech_to_text.linked_case, "_create")],
}


# The same on PostgreSQL and S3: without the points within SQLite's own files.
REPLICATED: Final[Mapping[str, Sequence[Lay]]] = {
    **{point: lays for point, lays in POINTS.items() if point not in ("checkpoint", MIGRATION)},
    "blob": [_before(S3Writer, "commit"), _after(S3Writer, "commit"), _after(Recordings, "add_chunk")],
}


def points(*, replicated: bool) -> Mapping[str, Sequence[Lay]]:
    """Returns the points of a proxy on these stores, with their ways."""
    return REPLICATED if replicated else POINTS


def lay_all(file: Path) -> None:
    """Lays every trap in this process; they are harmless until the file names one."""
    replicated = is_postgresql(os.environ.get("MICHIQ_DATABASE_URL", ""))
    for point, lays in points(replicated=replicated).items():
        for number, lay in enumerate(lays):
            lay(Trap(file, f"{point}:{number}"))
    _wrap_with(proxy.store.sql.migrate, "migration_engine", partial(_counting, file=file))


def _counting(make: Callable[[Path], Engine], *, file: Path) -> Callable[[Path], Engine]:
    def made(path: Path) -> Engine:
        engine, count = make(path), 0

        def look(*_: object) -> None:
            nonlocal count
            count += 1
            if armed(file) == f"{MIGRATION}:{count}":
                kill()

        event.listen(engine, "after_cursor_execute", look)
        return engine

    return made
