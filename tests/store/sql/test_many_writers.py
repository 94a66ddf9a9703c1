"""Tests units of work of two processes at once on PostgreSQL: one begins before the other one commits."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, func, select
from sqlalchemy.util import await_only

from proxy.modes import Change
from proxy.store import Store, StoreError, StoreOptions, open_store
from proxy.store.audit.request_traces import RequestTrace
from proxy.store.audit.tallies import Outcome
from proxy.store.audit.trail import Access
from proxy.store.records.deliveries import Delivery, Subject
from proxy.store.records.sessions import SessionGone, delete_expired
from proxy.store.sealing.sealer import load_sealer
from proxy.store.sql.database import Database, Work
from proxy.store.sql.tables import api_keys, meta, requests
from proxy.store.upkeep.erasure import OfCase, OfUser
from proxy.values import Identity
from tests.postgresql import Postgresql, postgresql
from tests.store.examples import (
    KEY,
    NOW,
    OTHER,
    OWNER,
    add_chunk,
    ago,
    case,
    chunk,
    entry,
    event,
    record,
    session,
    transcription,
)
from tests.store.wrapped import Wrapped

T = TypeVar("T")

LATER = NOW + timedelta(minutes=1)


class Waiting(Wrapped):
    """A database whose writes wait before they commit until `go`; `at_end` is set once one waits."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.at_end = asyncio.Event()
        self.go = asyncio.Event()

    async def write(self, work: Work[T], **how: Any) -> T:
        def waiting(conn: Connection) -> T:
            result = work(conn)
            self.at_end.set()
            await_only(self.go.wait())
            return result

        return await self._database.write(waiting, **how)


@dataclass(frozen=True)
class Two:
    """Two processes, as on two machines, with one database."""

    here: Store
    there: Store
    server: Postgresql
    name: str

    @asynccontextmanager
    async def first(self, call: Callable[[Store], Awaitable[T]]) -> AsyncIterator["asyncio.Task[T]"]:
        """Yields a call of the one process that has written all, and commits when the block ends."""
        database = Waiting(self.here.database)
        task = asyncio.ensure_future(_awaited(call(self.here.over(database, self.here.blobs))))
        ended = asyncio.ensure_future(database.at_end.wait())
        try:
            await asyncio.wait({task, ended}, return_when=asyncio.FIRST_COMPLETED)
            yield task
        finally:
            ended.cancel()
            database.go.set()
            await asyncio.wait({task})

    async def then(self, call: Awaitable[T]) -> "asyncio.Task[T]":
        """Starts a call of the other process; returns once it has ended, or waits for a lock."""
        task = asyncio.ensure_future(_awaited(call))
        async with self.server.admin() as driver:
            waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'"
            while not task.done() and not await driver.fetch(waiting, self.name):
                await asyncio.wait({task}, timeout=0.01)
        return task

    async def both(
        self, first: Callable[[Store], Awaitable[Any]], then: Callable[[Store], Awaitable[Any]]
    ) -> tuple[Any, Any]:
        """Returns the results of the first call and of one that began before that one's commit."""
        async with self.first(first) as one:
            other = await self.then(then(self.there))
        return await one, await other


async def _awaited(call: Awaitable[T]) -> T:
    return await call


@pytest.fixture(scope="module")
def server() -> Iterator[Postgresql]:
    with postgresql() as running:
        yield running


@pytest.fixture
async def two(server: Postgresql, tmp_path: Path) -> AsyncIterator[Two]:
    name = await server.new()
    options = StoreOptions(database_url=server.url(name), blobs_url=f"file:{tmp_path}/blobs")
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(open_store(options, [KEY]))
        there = await stack.enter_async_context(open_store(options, [KEY]))
        yield Two(here, there, server, name)
    await server.drop(name)


def change(**values: Any) -> Change:
    return Change(**{"actor": "eva", "route": "doc", "mode": "new", "reason": "test", **values})


def delivery(body: str) -> Delivery:
    return Delivery(body.encode(), "signature", "application/json")


async def receive(store: Store, body: str, *, report: str | None = "report-1") -> None:
    await store.deliveries.receive(delivery(body), Subject(report, "case-1"), None, NOW)


async def scalars(store: Store, query: Any) -> list[Any]:
    return list(await store.database.read(lambda conn: conn.execute(query).scalars().all()))


async def test_of_two_changes_each_gets_a_revision_of_its_own(two: Two) -> None:
    one, other = await two.both(
        lambda store: store.overrides.change(change(), expected=None, at=NOW),
        lambda store: store.overrides.change(change(mode="legacy"), expected=None, at=NOW),
    )
    assert (one.revision, other.revision) == (1, 2)
    assert (await two.there.audit.verify()).rows == 2


async def test_a_change_is_undone_once(two: Two) -> None:
    await two.here.overrides.change(change(), expected=None, at=NOW)
    await two.here.overrides.change(change(mode="legacy"), expected=None, at=NOW)
    roll_back: dict[str, Any] = {"actor": "eva", "reason": "test", "at": LATER}
    one, other = await two.both(
        lambda store: store.overrides.roll_back(**roll_back),
        lambda store: store.overrides.roll_back(**roll_back),
    )
    assert (one.undoes, other.undoes) == (2, 1)


@pytest.mark.parametrize("before", [0, 1])
async def test_audit_rows_of_two_processes_are_one_chain(two: Two, before: int) -> None:
    for _ in range(before):
        await two.here.audit.add("before", "mode_set", "*", NOW)
    await two.both(
        lambda store: store.audit.add("eva", "mode_set", "*", NOW),
        lambda store: store.audit.add("ana", "mode_set", "*", NOW),
    )
    verdict = await two.there.audit.verify()
    assert (verdict.rows, verdict.chained, verdict.first_bad) == (before + 2, before + 2, None)
    assert [each.actor for each in await two.there.audit.all()][before:] == ["eva", "ana"]


async def test_a_user_is_seen_first_once(two: Two) -> None:
    assert await two.both(
        lambda store: store.audit.first_sight("user", OWNER, NOW),
        lambda store: store.audit.first_sight("user", OWNER, NOW),
    ) == (True, False)
    assert len(await two.there.audit.all()) == 1


async def test_an_access_is_noted_once_a_day(two: Two) -> None:
    access = Access(OWNER, "c" * 64, "doc", NOW)
    await two.both(
        lambda store: store.evidence.add(accesses=[access], at=NOW),
        lambda store: store.evidence.add(accesses=[access], at=NOW),
    )
    assert len(await two.there.audit.all()) == 1


async def test_U04_no_chunk_is_lost_or_refused(two: Two) -> None:
    first, second = b"RIFF first", b"RIFF second"
    assert await two.both(
        lambda store: add_chunk(store, first, opens=True), lambda store: add_chunk(store, second)
    ) == (True, True)
    (recording,) = await two.there.recordings.of(OWNER, "case-1")
    assert [each.size for each in recording.chunks] == [len(first), len(second)]


async def test_U04_a_chunk_that_is_sent_again_is_stored_once(two: Two) -> None:
    assert await two.both(
        lambda store: add_chunk(store, b"RIFF first", opens=True),
        lambda store: add_chunk(store, b"RIFF first", opens=True),
    ) == (True, False)


async def test_N17_the_second_call_with_a_key_gets_the_first_ones_entry(two: Two) -> None:
    one, other = await two.both(
        lambda store: store.journal.begin(entry("intent-1")),
        lambda store: store.journal.begin(entry("intent-2")),
    )
    assert (one, other.id) == (None, "intent-1")


async def test_S05_a_linked_case_is_begun_once(two: Two) -> None:
    one, other = await two.both(
        lambda store: store.links.begin("case-1", "digest", NOW),
        lambda store: store.links.begin("case-1", "digest", NOW),
    )
    assert (one is None, other is None) == (False, True)


async def test_W03_an_older_event_never_overwrites_a_newer_one(two: Two) -> None:
    assert await two.both(
        lambda store: store.reports.apply(event("updated", at=LATER), NOW),
        lambda store: store.reports.apply(event(), NOW),
    ) == (True, False)
    (report,) = await two.there.reports.of_cases(["case-1"])
    assert report.content == "updated content"


async def test_W04_deliveries_of_one_report_are_sent_in_the_order_of_their_commits(two: Two) -> None:
    async with two.first(lambda store: receive(store, "one")):
        other = await two.then(receive(two.there, "two"))
        assert await two.there.deliveries.claim(NOW, LATER) is None
    await other
    claimed = await two.here.deliveries.claim(NOW, LATER)
    assert claimed is not None
    assert claimed.delivery.body == b"one"
    assert await two.there.deliveries.claim(NOW, LATER) is None


@pytest.mark.parametrize("report", ["report-1", None])
async def test_W04_a_repeat_is_stored_once(two: Two, report: str | None) -> None:
    await two.both(
        lambda store: receive(store, "one", report=report), lambda store: receive(store, "one", report=report)
    )
    assert await two.there.deliveries.waiting() == 1


async def test_W04_a_delivery_is_claimed_once_and_the_next_one_meanwhile(two: Two) -> None:
    for number in ("1", "2"):
        await receive(two.here, number, report=number)
    async with two.first(lambda store: store.deliveries.claim(NOW, LATER)) as one:
        other = await two.there.deliveries.claim(NOW, LATER)
    first = await one
    assert first is not None
    assert other is not None
    assert [first.delivery.body, other.delivery.body] == [b"1", b"2"]


async def test_W04_a_claim_lasts_whatever_the_clocks_of_the_machines_say(two: Two) -> None:
    await receive(two.here, "one")
    assert await two.here.deliveries.claim(NOW, LATER) is not None
    fast = NOW + timedelta(hours=1)
    assert await two.there.deliveries.claim(fast, fast + timedelta(minutes=1)) is None


async def test_G07_an_id_gets_one_home(two: Two) -> None:
    assert await two.both(
        lambda store: store.homes.claim(OWNER, "audio", "legacy", NOW),
        lambda store: store.homes.claim(OWNER, "audio", "new", NOW),
    ) == ("legacy", "legacy")


async def test_a_session_never_changes_its_owner(two: Two) -> None:
    other = session(owner=OTHER, identity=Identity("key-2", "eva@clinic.example", None))
    assert await two.both(
        lambda store: store.homes.learn_legacy_case("token", session(), "case-1", NOW),
        lambda store: store.homes.learn_legacy_case("token", other, "case-2", NOW),
    ) == (True, False)


async def test_Q06_passages_that_two_calls_sent_are_all_noted(two: Two) -> None:
    await two.here.conversations.put("case-1", OWNER, "chat")
    await two.both(
        lambda store: store.conversations.add_sent("case-1", OWNER, {"a"}),
        lambda store: store.conversations.add_sent("case-1", OWNER, {"b"}),
    )
    conversation = await two.there.conversations.get("case-1", OWNER)
    assert conversation is not None
    assert conversation.sent == {"a", "b"}


async def test_the_last_of_a_days_budget_is_taken_once(two: Two) -> None:
    assert await two.both(
        lambda store: store.evidence.take_budget("2026-03-21", "doc", 1),
        lambda store: store.evidence.take_budget("2026-03-21", "doc", 1),
    ) == (True, False)


async def test_counts_of_two_processes_add_up(two: Two) -> None:
    outcomes = [Outcome(route, "", "match") for route in ("doc", "query")]
    await two.both(
        lambda store: store.evidence.add(outcomes=outcomes, at=NOW),
        lambda store: store.evidence.add(outcomes=[*reversed(outcomes)], at=NOW),
    )
    for route in ("doc", "query"):
        assert [each.count for each in await two.there.evidence.comparisons(route, NOW.date())] == [2]


async def test_traces_that_one_process_is_just_removing_hold_up_no_other(two: Two) -> None:
    traces = [RequestTrace(f"request-{number}", NOW, {}) for number in range(5000)]
    await two.here.evidence.add(stories=traces, at=NOW)
    async with two.first(lambda store: store.evidence.add(stories=traces[:1], at=NOW)):
        await two.there.evidence.add(stories=traces[:1], at=NOW)
    await two.there.evidence.add(stories=traces[:1], at=NOW)
    assert await scalars(two.there, select(func.count()).select_from(requests)) == [5000]


async def test_N06_older_hashes_are_moved_once(two: Two) -> None:
    await two.here.sessions.put("token", session())
    await two.both(
        lambda store: store.owners.gather(OTHER, [OWNER]), lambda store: store.owners.gather(OTHER, [OWNER])
    )
    found = await two.there.sessions.get("token")
    assert found is not None
    assert found.owner == OTHER


async def test_N06_what_is_written_while_older_hashes_move_moves_too(two: Two) -> None:
    await two.here.sessions.put("token", session())
    stored = await two.here.sessions.get("token")
    assert stored is not None
    await two.both(
        lambda store: add_chunk(store, b"RIFF first", opens=True, ref=stored.ref),
        lambda store: store.owners.gather(OTHER, [OWNER]),
    )
    assert len(await two.there.recordings.of(OTHER, "case-1")) == 1


async def test_what_is_written_while_a_user_is_erased_goes_too(two: Two) -> None:
    await record(two.here, case())
    await two.here.sessions.put("token", session())
    stored = await two.here.sessions.get("token")
    assert stored is not None
    await two.both(
        lambda store: store.conversations.put("case-1", OWNER, "chat", stored.ref),
        lambda store: store.erasure.erase(OfUser(OWNER), "eva", NOW),
    )
    assert await two.there.conversations.get("case-1", OWNER) is None


async def test_a_case_that_is_recorded_while_its_user_is_erased_goes_too(two: Two) -> None:
    await two.here.journal.begin(entry())
    await two.both(
        lambda store: store.journal.record("intent-1", case(), b"{}"),
        lambda store: store.erasure.erase(OfUser(OWNER), "eva", NOW),
    )
    assert await two.there.cases.get("case-1") is None
    assert not await two.there.reports.apply(event(), LATER)


async def test_nothing_is_written_for_a_user_whose_erasure_is_under_way(two: Two) -> None:
    await two.here.sessions.put("token", session())
    await two.here.journal.begin(entry())
    stored = await two.here.sessions.get("token")
    assert stored is not None
    async with two.first(lambda store: store.erasure.erase(OfUser(OWNER), "eva", NOW)):
        put = await two.then(two.there.transcriptions.put(OWNER, "a", transcription(), ref=stored.ref))
        recorded = asyncio.ensure_future(two.there.journal.record("intent-1", case(), b"{}"))
    with pytest.raises(SessionGone):
        await put
    with pytest.raises(StoreError, match="no open intent"):
        await recorded


@pytest.mark.parametrize("whose", [OfUser(OWNER), OfCase("case-1")])
async def test_W02_a_report_that_comes_while_its_case_is_erased_is_not_stored(
    two: Two, whose: OfUser | OfCase
) -> None:
    await record(two.here, case())
    _, applied = await two.both(
        lambda store: store.erasure.erase(whose, "eva", NOW), lambda store: store.reports.apply(event(), NOW)
    )
    assert not applied


async def test_a_report_that_came_just_before_its_case_was_erased_goes_too(two: Two) -> None:
    await record(two.here, case())
    await two.both(
        lambda store: store.reports.apply(event(), NOW),
        lambda store: store.erasure.erase(OfCase("case-1"), "eva", NOW),
    )
    assert await two.there.reports.of_cases(["case-1"]) == []


async def test_a_chunk_that_came_just_before_its_case_was_erased_goes_with_its_bytes(two: Two) -> None:
    await add_chunk(two.here, b"RIFF first", opens=True)
    async with two.here.blobs.writer() as blob:
        await blob.write(b"RIFF second")
        name, _ = await blob.commit()

    async def later(store: Store) -> bool:
        return await store.recordings.add_chunk(
            OWNER,
            "case-1",
            chunk(b"RIFF second", blob=name),
            opens=False,
            filename="a.wav",
            content_type="audio/wav",
            container="wav",
            at=NOW,
        )

    await two.both(later, lambda store: store.erasure.erase(OfCase("case-1"), "eva", NOW))
    assert await two.there.blobs.stale(LATER + timedelta(days=10_000)) == []


async def test_changes_are_seen_in_the_order_of_their_revisions(two: Two) -> None:
    await two.there.changes.follow()
    async with two.first(lambda store: store.changes.note("session:one")) as one:
        other = await two.then(two.there.changes.note("session:two"))
        assert not other.done()
        assert (await two.there.changes.follow()).subjects == frozenset()
    assert await one < await other
    assert (await two.there.changes.follow()).subjects == {"session:one", "session:two"}


async def test_callers_with_one_api_key_do_not_wait_for_each_other(two: Two) -> None:
    await two.here.sessions.put("token-1", session())
    async with two.first(lambda store: store.sessions.put("token-2", session())):
        await two.there.sessions.put("token-3", session())
    assert [await two.there.sessions.get(f"token-{number}") is None for number in (1, 2, 3)] == [False] * 3


async def test_a_key_that_comes_into_use_is_not_swept(two: Two) -> None:
    await two.here.sessions.put("old", session(expires_at=ago(hours=1)))
    async with two.first(lambda store: store.sessions.put("new", session())):
        await two.there.database.write(lambda conn: delete_expired(conn, NOW))
    assert await two.there.sessions.get("new") == session()


async def test_a_key_that_is_just_swept_is_made_again(two: Two) -> None:
    await two.here.sessions.put("old", session(expires_at=ago(hours=1)))
    await two.both(
        lambda store: store.database.write(lambda conn: delete_expired(conn, NOW)),
        lambda store: store.sessions.put("new", session()),
    )
    assert await two.there.sessions.get("new") == session()
    assert len(await scalars(two.there, select(api_keys.c.ref))) == 1


async def test_two_first_starts_make_one_pepper(two: Two) -> None:
    await two.here.database.write(lambda conn: conn.execute(meta.delete()))

    async def fingerprint(store: Store) -> tuple[str, ...]:
        return (await load_sealer(store.database, [KEY])).fingerprints

    one, other = await two.both(fingerprint, fingerprint)
    assert one == other


async def test_no_key_is_lost_from_the_list_when_two_processes_start(two: Two) -> None:
    two.there.sealer.fingerprints = ("another",)
    await two.both(lambda store: store.keys.note(), lambda store: store.keys.note())
    (listed,) = await scalars(two.there, select(meta.c.value).filter_by(name="keys"))
    assert set(json.loads(listed)) == {*two.here.sealer.fingerprints, "another"}


async def test_readiness_waits_for_no_other_process(two: Two) -> None:
    async with two.first(lambda store: store.check()):
        await two.there.check()


async def test_who_lives_is_decided_by_the_clock_of_the_database(two: Two) -> None:
    values: dict[str, Any] = {"revision": 0, "mappings_digest": "", "rejected": (), "started_at": NOW}
    await two.here.processes.report("slow", "slow:1", **values, at=ago(days=3))
    await two.there.processes.report("fast", "fast:1", **values, at=NOW + timedelta(days=3))
    assert [each.name for each in await two.here.processes.live(NOW)] == ["fast:1", "slow:1"]


async def test_numbers_may_pass_two_to_the_31(two: Two) -> None:
    outcome = Outcome("doc", "", "match")
    await two.here.evidence.add(outcomes=[outcome], at=NOW)
    async with two.server.admin(two.name) as driver:
        await driver.execute("UPDATE comparisons SET count = 3000000000")
        await driver.execute("INSERT INTO changes (revision, subject) VALUES (3000000000, 'subject')")
        for table in ("requests", "deliveries", "contract_runs"):
            await driver.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), 3000000000)")
    await two.here.evidence.add(outcomes=[outcome], stories=[RequestTrace("request", NOW, {})], at=NOW)
    (count,) = await two.there.evidence.comparisons("doc", NOW.date())
    assert count.count == 3_000_000_001
    assert await two.here.changes.note() == 3_000_000_001
    await receive(two.here, "one")
    claimed = await two.there.deliveries.claim(NOW, LATER)
    assert claimed is not None
    assert claimed.id == 3_000_000_001
    assert replace(claimed, id=0).attempts == 1
