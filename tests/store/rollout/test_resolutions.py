"""Tests how an operator closes a call whose outcome is unknown, and what still counts afterwards (N19)."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from proxy.store import Store, StoreError
from proxy.store.records.links import Attempt
from proxy.store.rollout.resolutions import (
    AlreadyResolved,
    BadResolution,
    Resolution,
    UnderWay,
    UnknownCall,
)
from proxy.store.upkeep.erasure import OfCase
from proxy.values import Origin, PendingCall
from tests.store.examples import NOW, OWNER, ago, case, entry, record

ORIGIN = Origin("request-1", "c" * 64)
MADE = Resolution("Case-7", "ana", "it is on the platform", "cli")
NOT_MADE = Resolution(None, "ana", "it is nowhere", "cli")


async def ambiguous(store: Store, **changes: Any) -> None:
    """Leaves an intent with an idempotency key ambiguous."""
    await store.journal.begin(entry(request_id="request-1", organization="c" * 64, **changes))
    await store.journal.fail("intent-1", "timeout", ambiguous=True)


async def ambiguous_link(store: Store, digest: str = "audio-1") -> Attempt:
    attempt = await store.links.begin("case-1", digest, NOW, ORIGIN)
    assert attempt
    await store.links.fail(attempt, "cut", ambiguous=True)
    return attempt


async def state(store: Store) -> str | None:
    """Returns the state that a repeat with the same Idempotency-Key meets."""
    earlier = await store.journal.begin(entry("probe"))
    return None if earlier is None else earlier.state


async def resolutions(store: Store) -> list[dict[str, Any]]:
    rows = await store.audit.all()
    return [
        {"actor": row.actor, **json.loads(row.detail)} for row in rows if row.action == "pending_resolved"
    ]


async def test_pending_calls_name_the_request_and_the_organization(store: Store) -> None:
    await ambiguous(store)
    await store.links.plan("case-1", ["audio-1"], NOW, ORIGIN)
    await ambiguous_link(store)
    assert sorted(await store.pending(), key=lambda each: each.id) == [
        PendingCall("case-1", "speech_to_text", "cut", NOW, origin=ORIGIN),
        PendingCall("intent-1", "new_case", "timeout", NOW, origin=ORIGIN),
    ]


async def test_a_linked_case_that_is_resumed_is_still_that_of_its_request(store: Store) -> None:
    await store.links.plan("case-1", ["audio-1"], NOW, ORIGIN)
    assert await store.links.begin("case-1", "audio-1", NOW)
    await store.links.resolve_abandoned()
    assert [each.origin for each in await store.pending()] == [ORIGIN]


@pytest.mark.parametrize("resolution", [MADE, NOT_MADE], ids=["made", "not made"])
@pytest.mark.parametrize(
    ("leave", "call_id"), [(ambiguous, "intent-1"), (ambiguous_link, "case-1")], ids=["newCase", "linked"]
)
async def test_a_closed_call_leaves_the_list_with_one_audit_row(
    store: Store, leave: Callable[[Store], Awaitable[Any]], call_id: str, resolution: Resolution
) -> None:
    await leave(store)
    await store.resolutions.resolve(call_id, resolution, NOW)
    assert await store.pending() == []
    [row] = await resolutions(store)
    assert (row["actor"], row["made"], row["reason"]) == (
        "ana",
        resolution.made is not None,
        resolution.reason,
    )
    assert row["case"] == (store.sealer.case("Case-7") if resolution.made else None)
    assert (await store.audit.verify()).first_bad is None


@pytest.mark.parametrize("resolution", [MADE, NOT_MADE], ids=["made", "not made"])
async def test_a_repeat_of_a_closed_call_is_refused_as_before(store: Store, resolution: Resolution) -> None:
    await ambiguous(store)
    await store.resolutions.resolve("intent-1", resolution, NOW)
    assert await state(store) == "ambiguous"
    assert not await store.links.begin("case-1", (await ambiguous_link(store)).digest, NOW)


async def test_all_linked_cases_of_a_case_are_closed_together_and_never_begun_again(store: Store) -> None:
    for digest in ("audio-1", "audio-2"):
        await ambiguous_link(store, digest)
    await store.resolutions.resolve("case-1", MADE, NOW)
    assert await store.pending() == []
    assert not await store.links.begin("case-1", "audio-2", NOW)
    assert [each.case_id for each in await store.links.of("case-1")] == [None, None], "no client gets it"


async def test_an_erase_of_the_case_that_was_found_removes_the_entry(store: Store) -> None:
    await ambiguous(store)
    await ambiguous_link(store)
    for call_id in ("intent-1", "case-1"):
        await store.resolutions.resolve(call_id, MADE, NOW)
    removed = await store.erasure.erase(OfCase("Case-7"), "ana", NOW)
    assert (removed["kept answer"], removed["linked case"]) == (1, 1)


async def test_a_second_operator_is_told_who_closed_it(store: Store) -> None:
    await ambiguous(store)
    await store.resolutions.resolve("intent-1", NOT_MADE, NOW)
    with pytest.raises(AlreadyResolved, match="already resolved by ana at 2026-03-21T10:00:00"):
        await store.resolutions.resolve("intent-1", replace(MADE, actor="ben"), NOW)
    assert len(await resolutions(store)) == 1


@pytest.mark.parametrize(
    ("call_id", "resolution", "error"),
    [
        ("intent-1", replace(MADE, made="no id!"), BadResolution),
        ("intent-1", replace(MADE, made=""), BadResolution),
        ("intent-1", replace(MADE, reason=" "), BadResolution),
        ("intent-1", replace(MADE, reason="two\nlines"), BadResolution),
        ("intent-1", replace(MADE, reason="It is case-7."), BadResolution),
        ("intent-9", MADE, UnknownCall),
        ("intent-2", MADE, UnderWay),
    ],
)
async def test_what_can_not_be_closed_stays_open_and_out_of_the_audit(
    store: Store, call_id: str, resolution: Resolution, error: type[Exception]
) -> None:
    await ambiguous(store)
    await store.journal.begin(entry("intent-2", idempotency=None))
    with pytest.raises(error):
        await store.resolutions.resolve(call_id, resolution, NOW)
    assert [each.id for each in await store.pending()] == ["intent-1"]
    assert await resolutions(store) == []


async def test_the_case_of_a_call_that_is_known_is_not_another_one(store: Store) -> None:
    await store.journal.begin(entry())
    await store.journal.fail("intent-1", "made-for-refused", ambiguous=True, case_id="case-1")
    with pytest.raises(BadResolution, match="another case"):
        await store.resolutions.resolve("intent-1", MADE, NOW)
    await store.resolutions.resolve("intent-1", replace(MADE, made="case-1"), NOW)
    assert await store.pending() == []


async def test_a_late_success_of_a_closed_call_counts(store: Store) -> None:
    await ambiguous(store)
    await store.resolutions.resolve("intent-1", NOT_MADE, NOW)
    await store.journal.record("intent-1", case(), b"{}")
    assert await state(store) == "recorded"
    attempt = await ambiguous_link(store)
    await store.resolutions.resolve("case-1", NOT_MADE, NOW)
    assert await store.links.done(attempt, "case-9")
    assert [(each.state, each.case_id) for each in await store.links.of("case-1")] == [("done", "case-9")]


@pytest.mark.parametrize("is_ambiguous", [True, False])
async def test_a_late_failure_of_a_closed_call_opens_nothing_again(
    store: Store, *, is_ambiguous: bool
) -> None:
    await ambiguous(store)
    await store.resolutions.resolve("intent-1", MADE, NOW)
    await store.journal.fail("intent-1", "refused", ambiguous=is_ambiguous)
    assert (await state(store), await store.pending()) == ("ambiguous", [])


async def test_a_late_failure_of_a_closed_linked_case_opens_nothing_again(store: Store) -> None:
    attempt = await ambiguous_link(store)
    await store.resolutions.resolve("case-1", MADE, NOW)
    assert not await store.links.fail(attempt, "refused", ambiguous=False)
    assert not await store.links.put_off(attempt, "unreached")
    assert not await store.links.begin("case-1", "audio-1", NOW)
    assert await store.pending() == []


async def test_a_case_that_turns_up_late_without_a_client_is_pending_again(store: Store) -> None:
    await ambiguous(store)
    await store.resolutions.resolve("intent-1", NOT_MADE, NOW)
    await store.journal.fail("intent-1", "made-for-refused", ambiguous=True, case_id="case-1")
    assert [each.made for each in await store.pending()] == ["case-1"]


async def test_a_failure_without_an_open_entry_is_still_an_error(store: Store) -> None:
    with pytest.raises(StoreError, match="no open intent"):
        await store.journal.fail("intent-1", "refused", ambiguous=False)


async def test_a_takeover_leaves_closed_calls_closed(store: Store) -> None:
    await ambiguous(store)
    await ambiguous_link(store)
    for call_id in ("intent-1", "case-1"):
        await store.resolutions.resolve(call_id, NOT_MADE, NOW)
    for part in (store.journal, store.links):
        assert (await part.resolve_abandoned(), await part.resolve_own()) == (0, 0)
    assert await store.pending() == []


async def test_a_closed_call_is_stored_as_long_as_contents_are_and_an_open_one_stays(store: Store) -> None:
    await ambiguous(store, created_at=ago(days=89))
    await store.journal.begin(entry("open", idempotency=None, created_at=ago(days=500)))
    await store.journal.fail("open", "timeout", ambiguous=True)
    await store.resolutions.resolve("intent-1", NOT_MADE, NOW)
    await store.retention.sweep(NOW, content_days=90, audio_days=30)
    assert await state(store) == "ambiguous"
    await store.retention.sweep(NOW + timedelta(days=2), content_days=90, audio_days=30)
    assert await state(store) is None
    assert [each.id for each in await store.pending()] == ["open"]


async def test_a_closed_linked_case_goes_with_its_case(store: Store) -> None:
    await record(store, case(created_at=ago(days=91), owner=OWNER))
    await ambiguous_link(store)
    await store.resolutions.resolve("case-1", MADE, NOW)
    await store.retention.sweep(NOW, content_days=90, audio_days=30)
    assert await store.links.of("case-1") == []
