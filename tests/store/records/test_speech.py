"""Kept transcriptions, and the linked cases that carry audio to the new platform."""

import pytest
from sqlalchemy import delete

from proxy.store import Store
from proxy.store.records.links import Attempt
from proxy.store.sql.tables import links
from proxy.values import LinkedCase, PendingCall
from tests.store.examples import NOW, OTHER, OWNER, ago, entry, transcription


async def test_transcriptions_S04_a_kept_one_is_found_by_its_audio(store: Store) -> None:
    await store.transcriptions.put(OWNER, "case-1", transcription())
    assert await store.transcriptions.get(OWNER, "case-1", "audio-1") == transcription()


@pytest.mark.parametrize("place", [(OTHER, "case-1"), (OWNER, "case-2")])
async def test_transcriptions_S04_another_owner_or_id_has_none(store: Store, place: tuple[str, str]) -> None:
    await store.transcriptions.put(OWNER, "case-1", transcription())
    assert await store.transcriptions.get(*place, "audio-1") is None
    assert await store.transcriptions.of(*place) == []


async def test_transcriptions_S04_putting_again_keeps_one(store: Store) -> None:
    await store.transcriptions.put(OWNER, "case-1", transcription())
    await store.transcriptions.put(OWNER, "case-1", transcription(text=""))
    assert await store.transcriptions.of(OWNER, "case-1") == [transcription(text="")]


async def test_transcriptions_are_in_order_of_creation(store: Store) -> None:
    for digest, days in (("c", 0), ("a", 1), ("b", 2)):
        await store.transcriptions.put(OWNER, "case-1", transcription(digest, created_at=ago(days=days)))
    assert [kept.digest for kept in await store.transcriptions.of(OWNER, "case-1")] == ["b", "a", "c"]


async def test_links_S05_a_new_audio_begins_once(store: Store) -> None:
    assert await store.links.begin("case-1", "audio-1", NOW)
    assert not await store.links.begin("case-1", "audio-1", NOW)


async def test_links_S05_another_audio_begins_its_own(store: Store) -> None:
    await store.links.begin("case-1", "audio-1", NOW)
    assert await store.links.begin("case-1", "audio-2", NOW)


async def test_links_S05_a_done_link_is_never_begun_again(store: Store) -> None:
    attempt = await store.links.begin("case-1", "audio-1", NOW)
    assert attempt
    await store.links.done(attempt, "case-9")
    assert not await store.links.begin("case-1", "audio-1", NOW)
    assert await store.links.of("case-1") == [LinkedCase("case-1", "audio-1", "done", "case-9", None, NOW)]


async def test_links_S05_a_clear_failure_may_begin_again(store: Store) -> None:
    attempt = await store.links.begin("case-1", "audio-1", ago(days=1))
    assert attempt
    await store.links.fail(attempt, "refused", ambiguous=False)
    assert await store.links.begin("case-1", "audio-1", NOW)
    assert await store.links.of("case-1") == [LinkedCase("case-1", "audio-1", "intent", None, None, NOW)]


async def test_links_S05_an_ambiguous_failure_is_never_begun_again(store: Store) -> None:
    attempt = await store.links.begin("case-1", "audio-1", NOW)
    assert attempt
    await store.links.fail(attempt, "timeout", ambiguous=True)
    assert not await store.links.begin("case-1", "audio-1", NOW)


async def test_links_S05_ambiguous_cases_are_pending_once_each_beside_the_journals(store: Store) -> None:
    await store.journal.begin(entry(created_at=ago(hours=1)))
    await store.journal.fail("intent-1", "timeout", ambiguous=True)
    for digest in ("audio-1", "audio-2"):
        attempt = await store.links.begin("case-1", digest, NOW)
        assert attempt
        await store.links.fail(attempt, "cut", ambiguous=True)
    assert await store.pending() == [
        PendingCall("intent-1", "new_case", "timeout", ago(hours=1)),
        PendingCall("case-1", "speech_to_text", "cut", NOW),
    ]


async def test_links_S05_an_interrupted_intent_becomes_ambiguous_at_start(store: Store) -> None:
    await store.links.begin("case-1", "audio-1", NOW)
    assert await store.links.resolve_abandoned() == 1
    kept = LinkedCase("case-1", "audio-1", "ambiguous", None, "interrupted", NOW)
    assert await store.links.of("case-1") == [kept]


async def test_links_E02_linked_cases_are_listed_oldest_first(store: Store) -> None:
    for digest, days in (("a", 0), ("b", 1)):
        await store.links.begin("case-1", digest, ago(days=days))
    assert [link.digest for link in await store.links.of("case-1")] == ["b", "a"]


async def test_a_planned_linked_case_is_pending_until_it_is_begun(store: Store) -> None:
    await store.links.plan("case-1", ["audio-1", "audio-2"], NOW)
    assert [link.digest for link in await store.links.pending()] == ["audio-1", "audio-2"]
    assert await store.links.begin("case-1", "audio-1", NOW)
    assert [link.digest for link in await store.links.pending()] == ["audio-2"]


async def test_a_plan_changes_nothing_of_what_stands(store: Store) -> None:
    attempt = await store.links.begin("case-1", "audio-1", NOW)
    assert attempt
    await store.links.done(attempt, "case-9")
    await store.links.plan("case-1", ["audio-1"], NOW)
    assert [link.state for link in await store.links.of("case-1")] == ["done"]


async def test_what_was_put_off_is_pending_and_may_be_begun_again(store: Store) -> None:
    attempt = await store.links.begin("case-1", "audio-1", NOW)
    assert attempt
    await store.links.put_off(attempt, "refused")
    assert await store.links.pending() == [LinkedCase("case-1", "audio-1", "pending", None, "refused", NOW)]
    assert await store.links.resolve_abandoned() == 0
    assert await store.links.begin("case-1", "audio-1", NOW)


async def test_what_a_living_process_has_before_it_is_not_pending_for_others(store: Store) -> None:
    with store.links.in_hand.holding([("case-1", "audio-1")]):
        await store.links.plan("case-1", ["audio-1"], NOW)
        assert await store.links.pending(lambda _, name: name == store.presence.name) == []
        assert len(await store.links.pending(store.presence.lives)) == 0


async def test_what_this_process_planned_is_pending_once_no_task_of_it_works_on_it(store: Store) -> None:
    await store.links.plan("case-1", ["audio-1", "audio-2"], NOW)
    with store.links.in_hand.holding([("case-1", "audio-1")]):
        assert [link.digest for link in await store.links.pending(store.presence.lives)] == ["audio-2"]
    assert len(await store.links.pending(store.presence.lives)) == 2


@pytest.mark.parametrize("outcome", ["done", "failed", "ambiguous", "pending"])
async def test_links_S05_an_attempt_never_writes_over_another_ones_intent(store: Store, outcome: str) -> None:
    """A lost acknowledgment makes a process write its outcome again."""
    first = await store.links.begin("case-1", "audio-1", NOW)
    assert first
    assert await store.links.fail(first, "refused", ambiguous=False)
    assert await store.links.begin("case-1", "audio-1", NOW)
    assert not await ended(store, first, outcome)
    (link,) = await store.links.of("case-1")
    assert (link.state, link.case_id) == ("intent", None)


async def test_links_S05_an_outcome_that_comes_after_a_takeover_is_written(store: Store) -> None:
    attempt = await store.links.begin("case-1", "audio-1", NOW)
    assert attempt
    assert await store.links.resolve_abandoned() == 1
    assert await store.links.done(attempt, "case-9")
    assert [link.state for link in await store.links.of("case-1")] == ["done"]


async def test_links_S05_an_outcome_of_an_erased_case_has_no_row(store: Store) -> None:
    attempt = await store.links.begin("case-1", "audio-1", NOW)
    assert attempt
    await store.database.write(lambda conn: conn.execute(delete(links)))
    assert not await store.links.done(attempt, "case-9")
    assert await store.links.of("case-1") == []


async def test_links_S05_an_own_intent_is_shown_once_no_task_works_on_it(store: Store) -> None:
    with store.links.in_hand.holding([("case-1", "audio-1")]):
        await store.links.begin("case-1", "audio-1", NOW)
        assert await store.links.resolve_own() == 0
    assert await store.links.resolve_own() == 1
    (link,) = await store.links.of("case-1")
    assert (link.state, link.cause) == ("ambiguous", "interrupted")


async def ended(store: Store, attempt: Attempt, outcome: str) -> bool:
    if outcome == "done":
        return await store.links.done(attempt, "case-9")
    if outcome == "pending":
        return await store.links.put_off(attempt, "unreached")
    return await store.links.fail(attempt, "refused", ambiguous=outcome == "ambiguous")
