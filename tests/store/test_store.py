"""The store as a whole: opening, readiness, and nothing in the clear."""

import errno
import sqlite3
import stat
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from proxy.compressed import Compressed
from proxy.store import Store, StoreError, StoreOptions, open_store
from proxy.store.errors import cause_of
from proxy.values import CaseFile, Chunk, Identity
from tests.stores import ENGINES, EngineName

from .examples import KEY, NOW, OWNER, case, entry, event, opened, record, session, transcription

CANARY = "canary-Pérez"
BOTH = pytest.mark.usefixtures("engine")


def sqlite_error(name: str) -> sqlite3.Error:
    """Returns an error with SQLite's code of that name, as its driver raises it."""
    error = sqlite3.OperationalError(name)
    error.sqlite_errorcode = getattr(sqlite3, name)
    return error


@BOTH
async def test_what_was_stored_is_there_after_opening_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await record(store, case())
    async with opened(tmp_path) as store:
        assert await store.cases.get("case-1") == case()


@BOTH
async def test_a_database_that_another_process_has_open_can_be_opened(tmp_path: Path) -> None:
    async with opened(tmp_path) as one, opened(tmp_path) as two:
        await record(one, case())
        assert await two.cases.get("case-1") == case()


async def test_times_come_back_in_utc_to_the_microsecond(store: Store) -> None:
    await record(store, case())
    kept = await store.cases.get("case-1")
    assert kept is not None
    assert (kept.created_at, kept.created_at.tzinfo) == (NOW, UTC)


async def test_a_time_without_a_zone_is_refused(store: Store) -> None:
    with pytest.raises(StoreError) as caught:
        await store.journal.begin(entry(created_at=datetime(2026, 1, 1)))  # noqa: DTZ001
    assert "naive" in str(caught.value.__cause__)


@BOTH
async def test_missing_folders_are_made_for_their_owner_only(tmp_path: Path) -> None:
    async with opened(tmp_path / "var" / "deep"):
        pass
    folders = [tmp_path / "var", tmp_path / "var" / "deep", tmp_path / "var" / "deep" / "blobs"]
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == [0o700] * 3


@pytest.mark.parametrize(
    ("database_url", "blobs_url", "said"),
    [
        ("mysql://u:canary@db/x", "file:blobs", "no store has such an address"),
        ("sqlite:///x.db", "https://canary/x", "no store has such an address"),
        ("sqlite:///x.db", "s3://canary/x", "MICHIQ_BLOBS_URL: an S3 store needs credentials"),
    ],
)
async def test_a_store_that_can_not_be_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str, blobs_url: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match=said):
        async with open_store(StoreOptions(database_url=database_url, blobs_url=blobs_url), [KEY]):
            pass
    assert files_in(tmp_path) == []


@BOTH
async def test_a_folder_that_can_not_be_made_is_a_settings_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="MICHIQ_BLOBS_URL"):
        async with opened(tmp_path / "file"):
            pass


async def test_an_open_store_is_ready(store: Store) -> None:
    await store.check()


@BOTH
async def test_a_closed_store_is_not_ready(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        pass
    with pytest.raises(StoreError):
        await store.check()


async def test_a_store_without_its_blobs_folder_is_not_ready(store: Store, tmp_path: Path) -> None:
    (tmp_path / "blobs" / "tmp").rmdir()
    with pytest.raises(StoreError, match="MICHIQ_BLOBS_URL"):
        await store.check()


async def test_readiness_is_tried_at_most_once_in_three_seconds(store: Store, tmp_path: Path) -> None:
    await store.check(lambda: 10.0)
    (tmp_path / "blobs" / "tmp").rmdir()
    await store.check(lambda: 12.9)
    with pytest.raises(StoreError):
        await store.check(lambda: 13.1)
    (tmp_path / "blobs" / "tmp").mkdir()
    with pytest.raises(StoreError):
        await store.check(lambda: 16.0)
    await store.check(lambda: 16.2)


NO_ROW: Mapping[EngineName, str] = {
    "sqlite": "CREATE TRIGGER no BEFORE INSERT ON meta BEGIN SELECT RAISE(ABORT, 'no'); END",
    "postgresql": "ALTER TABLE meta ADD CONSTRAINT no CHECK (name = '') NOT VALID",
}


async def test_readiness_writes_to_the_database_and_is_no_mere_question(
    store: Store, tmp_path: Path, engine: EngineName
) -> None:
    ENGINES.tamper(tmp_path, NO_ROW[engine])
    with pytest.raises(StoreError, match=r"IntegrityError|CheckViolationError"):
        await store.check()


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (OSError(errno.ENOSPC, "x"), "store-full"),
        (OSError(errno.EDQUOT, "x"), "store-full"),
        (OSError(errno.EROFS, "x"), "store-readonly"),
        (OSError(errno.EIO, "x"), "store-failed"),
        (sqlite_error("SQLITE_FULL"), "store-full"),
        (sqlite_error("SQLITE_BUSY_SNAPSHOT"), "store-locked"),
        (sqlite_error("SQLITE_LOCKED"), "store-locked"),
        (sqlite_error("SQLITE_READONLY_DBMOVED"), "store-readonly"),
        (sqlite_error("SQLITE_CORRUPT"), "store-corrupt"),
        (sqlite_error("SQLITE_NOTADB"), "store-corrupt"),
        (sqlite_error("SQLITE_CONSTRAINT"), "store-failed"),
    ],
    ids=str,
)
def test_sqlites_own_code_or_the_systems_becomes_the_cause(error: Exception, cause: str) -> None:
    wrapped = StoreError("the write could not be committed")
    wrapped.__cause__ = DBAPIError("statement", None, error)
    assert cause_of(wrapped) == cause


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def fill_with_canaries(store: Store) -> None:
    who = Identity(api_key=f"key {CANARY}", user=CANARY, organization=CANARY)
    await store.sessions.put(
        f"token {CANARY}", session(identity=who, organization=CANARY, access_token=CANARY)
    )
    await store.sessions.renew(f"token {CANARY}", f"renewed {CANARY}", None)
    private: dict[str, Any] = {
        "user": CANARY,
        "organization": CANARY,
        "patient_id": CANARY,
        "patient_name": CANARY,
    }
    file = CaseFile(f"{CANARY}.pdf", "application/pdf", 1, "0", Compressed.from_text(CANARY))
    texts: dict[str, Any] = {
        "title": CANARY,
        "ehr": Compressed.from_text(f'{{"{CANARY}": "{CANARY}"}}'),
        "conversation": CANARY,
        "files": (file,),
    }
    await record(store, case(**private, **texts), answer=CANARY.encode())
    async with store.blobs.writer() as writer:
        await writer.write(CANARY.encode())
        blob, key = await writer.commit()
    await store.recordings.add_chunk(
        OWNER,
        "case-1",
        Chunk(blob, key, 1, "0"),
        opens=True,
        filename=f"{CANARY}.wav",
        content_type="audio/wav",
        container="wav",
        at=NOW,
    )
    await store.transcriptions.put(OWNER, "case-1", transcription(text=CANARY))
    await store.conversations.put("case-1", OWNER, CANARY)
    await store.reports.apply(event(content=CANARY, structured_data={CANARY: CANARY}), NOW)


@pytest.mark.usefixtures("unused_files")
async def test_store_G10_nothing_private_is_on_disk_in_the_clear(tmp_path: Path, engine: EngineName) -> None:
    async with opened(tmp_path) as store:
        await fill_with_canaries(store)
        files = files_in(tmp_path)
        raw = await ENGINES.bytes_of(tmp_path)
    if engine == "sqlite":
        assert {"michiq.db", "michiq.db-wal"} < {path.name for path in files}
        assert len(files) >= 4
    assert OWNER.encode() in raw  # what is not private shows that the rows are among the bytes
    assert b"canary-" not in raw


@pytest.mark.usefixtures("unused_files")
async def test_store_G10_the_key_of_a_blob_is_not_on_disk_in_the_clear(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await fill_with_canaries(store)
        (kept,) = await store.recordings.of(OWNER, "case-1")
        raw = await ENGINES.bytes_of(tmp_path)
    assert kept.chunks[0].key not in raw


async def test_store_G10_no_repr_of_the_store_shows_a_key(store: Store) -> None:
    assert KEY not in repr(store)
