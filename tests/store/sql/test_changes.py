"""Tests the values that processes cache, and how each learns what the others changed."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from proxy.store import Store
from proxy.store.records.sessions import SessionGone
from proxy.store.sql.changes import Changes
from proxy.store.sql.memory import ALL, Memory, subject_of
from proxy.store.upkeep.erasure import OfCase, OfUser
from proxy.values import Chunk
from tests.store.examples import NOW, OTHER, OWNER, ago, case, entry, opened, record, session, transcription
from tests.stores import EngineName


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory(clock: Clock) -> Memory:
    memory = Memory(clock, most=2)
    memory.asked(clock())
    return memory


def test_a_value_is_given_again(memory: Memory) -> None:
    memory.keep("session", "one", "value", memory.mark())
    assert memory.get("session", "one") == "value"
    assert memory.get("home", "one") is None


def test_the_least_recently_used_value_makes_room(memory: Memory) -> None:
    for key in ("one", "two"):
        memory.keep("session", key, key, memory.mark())
    memory.get("session", "one")
    memory.keep("session", "three", "three", memory.mark())
    assert [memory.get("session", key) for key in ("one", "two", "three")] == ["one", None, "three"]


def test_nothing_is_believed_a_second_after_others_were_asked(memory: Memory, clock: Clock) -> None:
    memory.keep("session", "one", "value", memory.mark())
    clock.now = 1.5
    assert memory.get("session", "one") is None
    memory.asked(clock())
    assert memory.get("session", "one") == "value"


@pytest.mark.parametrize("subject", [subject_of("session", "one"), ALL])
def test_what_was_read_before_a_change_is_not_kept_after_it(memory: Memory, subject: str) -> None:
    mark = memory.mark()
    memory.forget([subject])
    memory.keep("session", "one", "value", mark)
    assert memory.get("session", "one") is None


def test_a_change_of_one_value_leaves_the_others(memory: Memory) -> None:
    for key in ("one", "two"):
        memory.keep("session", key, key, memory.mark())
    memory.forget([subject_of("session", "one")])
    assert [memory.get("session", key) for key in ("one", "two")] == [None, "two"]


@dataclass(frozen=True)
class Two:
    """Two processes on one store, which follow each other's changes when a test says so."""

    here: Store
    there: Store

    async def follow(self) -> None:
        for store in (self.here, self.there):
            await store.changes.follow()


@pytest.fixture
async def two(tmp_path: Path, engine: EngineName) -> AsyncIterator[Two]:
    async with AsyncExitStack() as stack:
        both = Two(*[await stack.enter_async_context(opened(tmp_path)) for _ in range(2)])
        await both.follow()
        yield both


async def seen(two: Two) -> None:
    """Reads the session, its case and its home in both processes, so that both cache them."""
    await record(two.here, case())
    await two.here.sessions.put("token", session())
    for store in (two.here, two.there):
        assert await store.sessions.get("token", NOW) == session()
        assert await store.cases.get("case-1") == case()
        assert await store.homes.of(OWNER, "case-1") == "new"


async def test_what_is_in_memory_is_not_read_again(two: Two) -> None:
    await seen(two)
    await two.here.database.write(lambda conn: conn.exec_driver_sql("DELETE FROM sessions"))
    assert await two.there.sessions.get("token", NOW) == session()


@pytest.mark.usefixtures("engine")
async def test_a_store_that_follows_nothing_reads_everything_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.sessions.put("token", session())
        assert await store.sessions.get("token", NOW) == session()
        await store.database.write(lambda conn: conn.exec_driver_sql("DELETE FROM sessions"))
        assert await store.sessions.get("token", NOW) is None


async def test_G06_a_renewed_session_counts_at_once_here_and_with_the_next_look_elsewhere(two: Two) -> None:
    await seen(two)
    await two.here.sessions.renew("token", "access-2", NOW + timedelta(minutes=15))
    renewed = replace(session(), access_token="access-2")
    assert await two.here.sessions.get("token", NOW) == renewed
    await two.there.changes.follow()
    assert await two.there.sessions.get("token", NOW) == renewed


async def test_G06_a_session_that_has_expired_in_memory_is_read_again(two: Two) -> None:
    await two.here.sessions.put("token", session(access_expires_at=ago(minutes=1)))
    await two.there.sessions.get("token", NOW)
    await two.here.sessions.put("token", session())
    assert await two.there.sessions.get("token", NOW) == session()


@pytest.mark.parametrize("whose", [OfUser(OWNER), OfCase("case-1")])
async def test_what_was_erased_is_in_no_memory(two: Two, whose: OfUser | OfCase) -> None:
    await seen(two)
    await two.here.erasure.erase(whose, "eva", NOW)
    await two.there.changes.follow()
    for store in (two.here, two.there):
        assert await store.cases.get("case-1") is None
        assert await store.homes.of(OWNER, "case-1") is None
    kept = [await store.sessions.get("token", NOW) for store in (two.here, two.there)]
    assert kept == ([None, None] if isinstance(whose, OfUser) else [session(), session()])


async def test_of_an_erased_user_nothing_is_written_by_what_another_process_has_in_memory(two: Two) -> None:
    await seen(two)
    remembered = await two.there.sessions.get("token", NOW)
    assert remembered is not None
    ref = remembered.ref
    await two.here.erasure.erase(OfUser(OWNER), "eva", NOW)
    with pytest.raises(SessionGone):
        await two.there.homes.claim(OWNER, "audio", "new", NOW, ref)
    with pytest.raises(SessionGone):
        await two.there.conversations.put("case-1", OWNER, "chat-1", ref)
    with pytest.raises(SessionGone):
        await two.there.journal.begin(entry(), ref=ref)
    with pytest.raises(SessionGone):
        await two.there.transcriptions.put(OWNER, "audio", transcription(), ref=ref)
    with pytest.raises(SessionGone):
        await two.there.recordings.add_chunk(
            OWNER,
            "audio",
            Chunk("blob", bytes(32), 1, "0" * 64),
            opens=True,
            filename="a.wav",
            content_type="audio/wav",
            container="wav",
            at=NOW,
            ref=ref,
        )
    assert await two.here.erasure.find(OfUser(OWNER)) == {}


async def test_N06_rows_that_move_to_another_hash_are_found_there_by_every_process(two: Two) -> None:
    await seen(two)
    await two.here.owners.gather(OTHER, [OWNER])
    await two.there.changes.follow()
    moved = await two.there.sessions.get("token", NOW)
    assert moved is not None
    assert moved.owner == OTHER


async def test_U06_what_retention_removed_is_in_no_memory(two: Two) -> None:
    await seen(two)
    await two.here.retention.sweep(NOW + timedelta(days=400), 30, 30)
    await two.there.changes.follow()
    assert [await store.cases.get("case-1") for store in (two.here, two.there)] == [None, None]


async def test_a_process_that_has_missed_a_second_forgets_everything(two: Two, clock: Clock) -> None:
    memory = Memory(clock)
    changes = Changes(two.there.database, memory, clock)
    await changes.follow()
    memory.keep("session", "one", "value", memory.mark())
    clock.now = 1.5
    await changes.follow()
    assert memory.get("session", "one") is None


async def test_erase_leaves_no_hash_of_a_token_among_the_changes(two: Two) -> None:
    await seen(two)
    await two.here.sessions.renew("token", "access-2", NOW)
    await two.here.erasure.erase(OfUser(OWNER), "eva", NOW)
    subjects = await two.here.database.read(
        lambda conn: conn.exec_driver_sql("SELECT subject FROM changes").scalars().all()
    )
    assert subjects == [ALL]
