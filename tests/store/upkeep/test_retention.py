"""Tests the rows and files that a sweep removes, and those that it leaves."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, func, select

from proxy.modes import Change
from proxy.store import Store
from proxy.store.sql.tables import api_keys
from proxy.store.upkeep.retention import Swept
from proxy.values import Chunk
from tests.store.examples import OWNER, case, entry, event, record, session, transcription

# Sweeps compare with the age of files: these tests need the real clock.
NOW = datetime.now(UTC)
OLD = NOW - timedelta(days=91)
NOTHING = Swept(cases=0, recordings=0, blobs=0)


async def sweep(store: Store, now: datetime = NOW) -> Swept:
    return await store.retention.sweep(now, content_days=90, audio_days=30)


async def is_there(store: Store, name: str) -> bool:
    return name in await store.blobs.stale(datetime.now(UTC) + timedelta(days=1))


async def upload(store: Store, at: datetime) -> str:
    async with store.blobs.writer() as writer:
        await writer.write(b"audio")
        name, key = await writer.commit()
    await store.recordings.add_chunk(
        OWNER,
        "case-1",
        Chunk(name, key, 5, name),
        opens=True,
        filename="a.wav",
        content_type="audio/wav",
        container="wav",
        at=at,
    )
    return name


async def fill(store: Store, case_id: str, at: datetime) -> None:
    await record(store, case(case_id, created_at=at))
    await store.conversations.put(case_id, OWNER, "conversation")
    await store.links.begin(case_id, "audio", at)
    await store.reports.apply(event(case_id=case_id, report_id=f"report of {case_id}"), at)
    await store.transcriptions.put(OWNER, case_id, transcription(created_at=at))


async def left_of(store: Store, case_id: str) -> list[str]:
    there = {
        "case": await store.cases.get(case_id),
        "conversation": await store.conversations.get(case_id, OWNER),
        "links": await store.links.of(case_id),
        "reports": await store.reports.of_cases([case_id]),
        "transcriptions": await store.transcriptions.of(OWNER, case_id),
    }
    return [name for name, found in there.items() if found]


async def test_everything_of_an_old_case_goes_and_a_newer_one_stays_whole(store: Store) -> None:
    await fill(store, "old", OLD)
    await fill(store, "new", NOW)
    assert await sweep(store) == Swept(cases=1, recordings=0, blobs=0)
    assert await left_of(store, "old") == []
    assert await left_of(store, "new") == ["case", "conversation", "links", "reports", "transcriptions"]


async def test_a_late_report_of_an_old_case_goes_with_it(store: Store) -> None:
    await record(store, case("old", created_at=OLD))
    await store.reports.apply(event(case_id="old"), NOW)
    await sweep(store)
    assert await store.reports.of_cases(["old"]) == []


async def test_an_old_report_of_a_case_that_never_came_goes(store: Store) -> None:
    await store.reports.apply(event(case_id="unknown"), OLD)
    await sweep(store)
    assert await store.reports.of_cases(["unknown"]) == []


async def test_retention_U06_old_audio_goes_with_its_blobs_and_newer_audio_stays(store: Store) -> None:
    old, new = await upload(store, NOW - timedelta(days=31)), await upload(store, NOW - timedelta(days=29))
    assert await sweep(store) == Swept(cases=0, recordings=1, blobs=1)
    assert [kept.chunks[0].blob for kept in await store.recordings.of(OWNER, "case-1")] == [new]
    assert (await is_there(store, new), await is_there(store, old)) == (True, False)


async def test_a_blob_without_a_row_goes_after_a_day(store: Store) -> None:
    async with store.blobs.writer() as writer:
        name, _ = await writer.commit()
    written = datetime.now(UTC)
    # Of an upload under way, whose row comes after its blob.
    for hours in (0.01, 1, 23.99):
        assert await sweep(store, written + timedelta(hours=hours)) == NOTHING
        assert await is_there(store, name)
    assert await sweep(store, written + timedelta(hours=24.01)) == Swept(0, 0, blobs=1)
    assert not await is_there(store, name)


async def test_a_blob_with_a_row_is_no_orphan(store: Store) -> None:
    name = await upload(store, NOW)
    assert await sweep(store, NOW + timedelta(days=2)) == NOTHING
    assert await is_there(store, name)


async def test_ended_sessions_go_and_others_stay(store: Store) -> None:
    await store.sessions.put("ended", session(expires_at=NOW - timedelta(seconds=1)))
    await store.sessions.put("valid", session(expires_at=NOW + timedelta(seconds=1)))
    await sweep(store)
    assert await store.sessions.get("ended") is None
    assert await store.sessions.get("valid") is not None


async def test_an_api_key_goes_with_the_last_of_its_sessions(store: Store) -> None:
    def kept(conn: Connection) -> int:
        return conn.execute(select(func.count()).select_from(api_keys)).scalar_one()

    await store.sessions.put("ended", session(expires_at=NOW - timedelta(seconds=1)))
    await store.sessions.put("valid", session(expires_at=NOW + timedelta(seconds=1)))
    await sweep(store)
    assert await store.database.read(kept) == 1
    await sweep(store, NOW + timedelta(days=1))
    assert await store.database.read(kept) == 0


async def test_retention_N17_answers_are_forgotten_after_a_day(store: Store) -> None:
    await store.journal.begin(entry(created_at=NOW - timedelta(hours=25)))
    await store.journal.record("intent-1", case(created_at=NOW), b"{}")
    await sweep(store)
    assert await store.journal.begin(entry("intent-2")) is None


async def test_what_is_on_record_of_operators_is_never_removed(store: Store) -> None:
    long_ago = NOW - timedelta(days=5000)
    change = Change(actor="ana", route="doc", mode="off", reason="a drill")
    await store.overrides.change(change, expected=None, at=long_ago)
    await store.audit.add("ana", "looked", "digest", long_ago)
    before = len(await store.audit.all())
    await sweep(store)
    assert [each.at for each in await store.overrides.history()] == [long_ago]
    assert (len(await store.audit.all()), before >= 2) == (before, True)


async def test_a_second_sweep_finds_nothing_more(store: Store) -> None:
    await fill(store, "old", OLD)
    await upload(store, OLD)
    assert await sweep(store) != NOTHING
    assert await sweep(store) == NOTHING
