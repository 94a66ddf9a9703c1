"""The store of a dry run: writes that build on each other work as real ones do."""

from pathlib import Path

import pytest

from proxy.rollout.shadow.dry_store import dry_store
from proxy.store import StoreError
from proxy.store.records.sessions import SessionGone
from tests.store.examples import NOW, OWNER, case, entry, opened, session


async def test_a_case_is_recorded_once_for_an_intent_that_was_begun(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        dry = dry_store(store)
        with pytest.raises(StoreError, match="no open intent"):
            await dry.journal.record("intent-1", case(), b"{}")
        assert await dry.journal.begin(entry("intent-1")) is None
        await dry.journal.record("intent-1", case(), b"{}")
        with pytest.raises(StoreError, match="no open intent"):
            await dry.journal.record("intent-1", case(), b"{}")
        assert await store.cases.get(case().id) is None
        assert await store.journal.begin(entry("intent-1")) is None


async def test_an_earlier_answer_to_the_idempotency_key_does_not_end_a_dry_run(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.journal.begin(entry("intent-1", idempotency="key"))
        assert await store.journal.begin(entry("intent-2", idempotency="key")) is not None
        assert await dry_store(store).journal.begin(entry("intent-3", idempotency="key")) is None


async def test_a_write_for_a_session_that_has_gone_is_refused_as_it_really_is(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        with pytest.raises(SessionGone):
            await dry_store(store).conversations.put("case-1", OWNER, "conversation-1", ref="gone")


async def test_audio_that_a_run_has_sent_on_is_not_sent_on_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        dry = dry_store(store)
        attempt = await dry.links.begin("case-1", "digest", NOW)
        assert attempt
        await dry.links.done(attempt, "case-2")
        assert not await dry.links.begin("case-1", "digest", NOW)
        assert await store.links.begin("case-1", "digest", NOW)


async def test_a_dry_write_leaves_what_is_in_memory_the_revision_and_the_audit(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.sessions.put("token", session())
        await store.changes.follow()
        before, revision, audit = (
            await store.sessions.get("token"),
            store.changes.revision,
            await store.audit.all(),
        )
        memory = store.sessions.memory
        mark = memory.mark()
        dry = dry_store(store)
        await dry.sessions.renew("token", "fresh", NOW)
        await dry.audit.first_sight("user", OWNER, NOW)
        assert memory.mark() == mark
        assert (await store.changes.follow()).subjects == frozenset()
        assert await store.sessions.get("token") is before
        assert (store.changes.revision, await store.audit.all()) == (revision, audit)
