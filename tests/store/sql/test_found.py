"""Tests that a write whose commit is in doubt is found again by its own rows, or may run twice."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final, TypeVar

import pytest
from sqlalchemy import Connection

from proxy.modes import Change
from proxy.store import Store
from proxy.store.records.deliveries import Delivery, Subject
from proxy.store.records.links import Attempt
from proxy.store.sql.database import Database, Work, runs_again
from tests.store.examples import (
    NOW,
    OTHER,
    OWNER,
    add_chunk,
    case,
    entry,
    event,
    record,
    session,
    transcription,
)
from tests.store.wrapped import Wrapped

T = TypeVar("T")


class Doubting(Wrapped):
    """A database that runs each write as if its commit were in doubt: once undone, and then done."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.writes = 0

    async def write(self, work: Work[T], **how: Any) -> T:
        found: Work[bool] | None = how.get("found")
        assert found is not None, "a write that is in doubt fails"

        def doubted(conn: Connection) -> T:
            savepoint = conn.begin_nested()
            work(conn)
            savepoint.rollback()
            assert not found(conn), "what was undone is found"
            result = work(conn)
            if found is runs_again:
                return work(conn)
            assert found(conn), "what was done is not found"
            return result

        self.writes += 1
        # It has several statements here: it is not single.
        return await self._database.write(doubted, turns=how.get("turns", ()))


def change(**values: Any) -> Change:
    return Change(**{"actor": "eva", "route": "doc", "mode": "new", "reason": "test", **values})


ATTEMPT: Final = Attempt("case-1", "b", "nonce")

WRITES: Final[dict[str, Callable[[Store], Awaitable[Any]]]] = {
    "intent": lambda store: store.journal.begin(entry("intent-2", idempotency="another")),
    "record": lambda store: store.journal.record("intent-1", case("case-2"), b"{}"),
    "failure": lambda store: store.journal.fail("intent-1", "refused", ambiguous=False),
    "doubt": lambda store: store.journal.fail("intent-1", "cut", ambiguous=True, case_id="case-2"),
    "chunk": lambda store: add_chunk(store, b"RIFF first", opens=True),
    "plan": lambda store: store.links.plan("case-1", ["a", "c"], NOW),
    "linked intent": lambda store: store.links.begin("case-1", "a", NOW),
    "linked case": lambda store: store.links.done(ATTEMPT, "case-2"),
    "report": lambda store: store.reports.apply(event(), NOW),
    "delivery": lambda store: store.deliveries.receive(
        Delivery(b"{}", "signature", ""), Subject("report-1", "case-1"), event(), NOW
    ),
    "conversation": lambda store: store.conversations.put("case-1", OWNER, "chat"),
    "passages": lambda store: store.conversations.add_sent("case-1", OWNER, {"a"}),
    "transcription": lambda store: store.transcriptions.put(OWNER, "case-1", transcription(), ["part"]),
    "home": lambda store: store.homes.claim(OWNER, "audio", "new", NOW),
    "legacy case": lambda store: store.homes.learn_legacy_case("legacy", session(), "case-3", NOW),
    "session": lambda store: store.sessions.put("token", session(owner=OTHER)),
    "override": lambda store: store.overrides.change(change(), expected=None, at=NOW),
    "rollback": lambda store: store.overrides.roll_back(actor="eva", reason="test", at=NOW),
    "audit": lambda store: store.audit.add("eva", "mode_set", "*", NOW),
    "key": lambda store: store.keys.note(),
}


@pytest.mark.parametrize("name", WRITES)
async def test_a_write_in_doubt_is_found_or_may_run_again(store: Store, name: str) -> None:
    await record(store, case())
    await store.journal.begin(entry())
    assert await replace(store.links, new_nonce=lambda: "nonce").begin("case-1", "b", NOW) == ATTEMPT
    await store.overrides.change(change(mode="legacy"), expected=None, at=NOW)
    doubting = Doubting(store.database)
    await WRITES[name](store.over(doubting, store.blobs))
    assert doubting.writes == 1
    assert (await store.audit.verify()).first_bad is None
