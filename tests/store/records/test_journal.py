"""The journal of newCase, and the case records that it writes."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from proxy.store import Store, StoreError
from proxy.store.records import cases
from proxy.store.records.journal import NotStanding
from proxy.store.sql.database import Work
from proxy.store.upkeep.erasure import OfUser
from tests.store.examples import NOW, OTHER, OWNER, ago, case, entry, event, opened, record, session

T = TypeVar("T")


async def state(store: Store, key: str = "idempotency-1") -> str | None:
    """Returns the state of the entry that one with this idempotency key would meet."""
    earlier = await store.journal.begin(entry("probe", idempotency=key))
    return None if earlier is None else earlier.state


async def test_journal_N18_a_recorded_case_comes_back_whole(store: Store) -> None:
    await record(store, case())
    assert await store.cases.get("case-1") == case()


async def test_an_unknown_case_is_none(store: Store) -> None:
    assert await store.cases.get("case-1") is None


async def test_cases_L01_an_owner_has_their_own_cases_newest_first_page_by_page(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cases, "_PAGE", 2)
    await record(store, case("old", created_at=ago(days=2)))
    await record(store, case("new"))
    await record(store, case("foreign", owner=OTHER))
    await record(store, case("middle", created_at=ago(days=1)))
    pages = [[each.id for each in page] async for page in store.cases.pages(OWNER)]
    assert pages == [["new", "middle"], ["old"]]


@pytest.mark.parametrize(
    ("names", "expected"), [("cab", [["a", "b"], ["c"]]), ("dcab", [["a", "b"], ["c", "d"]])]
)
async def test_cases_L01_of_one_time_are_each_listed_once_wherever_a_page_ends(
    store: Store, monkeypatch: pytest.MonkeyPatch, names: str, expected: list[list[str]]
) -> None:
    monkeypatch.setattr(cases, "_PAGE", 2)
    for name in names:
        await record(store, case(name))
    assert [[each.id for each in page] async for page in store.cases.pages(OWNER)] == expected


async def test_journal_N17_a_first_key_begins(store: Store) -> None:
    assert await store.journal.begin(entry()) is None


async def test_journal_N17_the_same_key_gets_the_running_entry_and_writes_nothing(store: Store) -> None:
    await store.journal.begin(entry())
    assert await store.journal.begin(entry("intent-2", body_digest="body-2")) == entry()
    with pytest.raises(StoreError, match="no open intent"):
        await store.journal.fail("intent-2", "timeout", ambiguous=False)


async def test_journal_N17_the_same_key_gets_the_first_answer(store: Store) -> None:
    await store.journal.begin(entry())
    await store.journal.record("intent-1", case(), b'{"message": "first"}')
    answered = entry(state="recorded", case_id="case-1", answer=b'{"message": "first"}')
    assert await store.journal.begin(entry("intent-2")) == answered


@pytest.mark.parametrize(
    "other", [{"owner": OTHER}, {"idempotency": "idempotency-2"}, {"idempotency": None}], ids=str
)
async def test_journal_N17_other_owners_other_keys_and_none_do_not_meet(
    store: Store, other: dict[str, Any]
) -> None:
    await store.journal.begin(entry(**other))
    assert await store.journal.begin(entry("intent-2")) is None


async def test_journal_N17_calls_without_a_key_never_meet(store: Store) -> None:
    await store.journal.begin(entry(idempotency=None))
    assert await store.journal.begin(entry("intent-2", idempotency=None)) is None


async def test_journal_N17_a_clear_failure_frees_the_key(store: Store) -> None:
    await store.journal.begin(entry())
    await store.journal.fail("intent-1", "refused", ambiguous=False)
    assert await state(store) is None


async def test_journal_N17_an_ambiguous_failure_keeps_the_key_and_is_pending(store: Store) -> None:
    await store.journal.begin(entry())
    await store.journal.fail("intent-1", "timeout", ambiguous=True)
    assert await state(store) == "ambiguous"
    assert await store.journal.pending() == [entry(state="ambiguous", cause="timeout")]


async def test_journal_N17_an_interrupted_intent_becomes_ambiguous_at_start(store: Store) -> None:
    await store.journal.begin(entry())
    assert await store.journal.resolve_abandoned() == 1
    assert await store.journal.pending() == [entry(state="ambiguous", cause="interrupted")]


async def test_journal_N17_settling_leaves_recorded_and_failed_calls_alone(store: Store) -> None:
    await record(store, case())
    await store.journal.begin(entry())
    await store.journal.fail("intent-1", "refused", ambiguous=False)
    assert await store.journal.resolve_abandoned() == 0


async def test_journal_N17_pending_calls_are_listed_oldest_first(store: Store) -> None:
    for name, days in (("new", 1), ("old", 2)):
        await store.journal.begin(entry(name, idempotency=None, created_at=ago(days=days)))
    await store.journal.resolve_abandoned()
    assert [each.id for each in await store.journal.pending()] == ["old", "new"]


async def test_journal_N17_an_answer_that_comes_late_settles_an_ambiguous_call(store: Store) -> None:
    await store.journal.begin(entry())
    await store.journal.resolve_abandoned()
    await store.journal.record("intent-1", case(), b"{}")
    assert await store.journal.pending() == []
    assert await state(store) == "recorded"


@pytest.mark.parametrize("intent_id", ["unknown", "intent-case-1"])
async def test_a_case_without_an_open_intent_is_refused(store: Store, intent_id: str) -> None:
    await record(store, case())
    with pytest.raises(StoreError, match="no open intent"):
        await store.journal.record(intent_id, case("case-2"), b"{}")
    assert await store.cases.get("case-2") is None


async def test_journal_N18_when_the_case_can_not_be_kept_the_intent_stays_open(store: Store) -> None:
    await record(store, case())
    await store.journal.begin(entry())
    with pytest.raises(StoreError, match=r"IntegrityError|UniqueViolationError"):
        await store.journal.record("intent-1", case(), b"{}")
    assert await state(store) == "intent"


async def test_journal_N17_old_answers_and_keys_are_forgotten(store: Store) -> None:
    await store.journal.begin(entry())
    await store.journal.record("intent-1", case(), b"{}")
    await store.journal.forget_before(NOW)
    assert await state(store) == "recorded"
    await store.journal.forget_before(ago(days=-1))
    assert await state(store) is None


async def test_journal_N17_ambiguous_calls_are_not_forgotten(store: Store) -> None:
    await store.journal.begin(entry())
    await store.journal.resolve_abandoned()
    await store.journal.forget_before(ago(days=-1))
    assert await state(store) == "ambiguous"


async def test_journal_N19_an_intent_that_relies_on_an_entry_is_begun_while_that_stands(store: Store) -> None:
    await store.journal.begin(entry())
    assert await store.journal.begin(entry("intent-2", idempotency=None), standing="intent-1") is None
    await store.erasure.erase(OfUser(OWNER), "eva", NOW)
    with pytest.raises(NotStanding):
        await store.journal.begin(entry("intent-3", idempotency=None), standing="intent-1")
    assert await store.journal.resolve_abandoned() == 0, "nothing of it was written"


async def test_journal_N19_what_is_written_with_a_record_goes_with_it(store: Store) -> None:
    """Checks that a user who was erased meanwhile gets no session back."""
    putting = store.sessions.putting("token", session())
    with pytest.raises(StoreError):
        await store.journal.record("erased meanwhile", case(), b"{}", putting)
    assert await store.sessions.get("token") is None
    await store.journal.begin(entry())
    await store.journal.record("intent-1", case(), b"{}", putting)
    assert await store.sessions.get("token") == session()


async def test_journal_N19_a_case_that_nobody_is_told_of_keeps_its_key_and_its_id(store: Store) -> None:
    await store.journal.begin(entry())
    await store.journal.fail("intent-1", "made-for-refused", ambiguous=True, case_id="case-1")
    assert await state(store) == "ambiguous"
    assert await store.cases.get("case-1") is None
    [shown] = await store.pending()
    assert (shown.id, shown.cause, shown.made) == ("intent-1", "made-for-refused", "case-1")


async def test_journal_N19_an_id_that_is_another_users_case_is_not_erased_with_this_one(store: Store) -> None:
    await store.journal.begin(entry("theirs", owner=OTHER))
    await store.journal.record("theirs", case(owner=OTHER), b"{}")
    await store.journal.begin(entry("intent-2", idempotency=None))
    await store.journal.fail("intent-2", "made-for-refused", ambiguous=True, case_id="case-1")
    await store.reports.apply(event(case_id="case-1"), NOW)
    assert await store.erasure.erase(OfUser(OWNER), "eva", NOW) == {"kept answer": 1}


async def test_journal_N17_an_own_intent_is_shown_once_no_request_works_on_it(store: Store) -> None:
    with store.journal.in_hand.holding(["intent-1"]):
        await store.journal.begin(entry())
        assert await store.journal.resolve_own() == 0
    assert await store.journal.resolve_own() == 1
    assert [(each.id, each.cause) for each in await store.journal.pending()] == [("intent-1", "interrupted")]
    assert await store.journal.resolve_own() == 0


async def test_journal_N17_an_intent_that_begins_while_the_own_ones_are_read_is_left_alone(
    store: Store,
) -> None:
    """The entries are read first and compared afterwards; the other way round, this one would be shown."""
    with ExitStack() as held:

        class Beginning:
            async def lookup(self, work: Work[T]) -> T:
                held.enter_context(store.journal.in_hand.holding(["intent-1"]))
                await store.journal.begin(entry())
                return await store.database.lookup(work)

        looking: Any = Beginning()
        assert await replace(store.journal, database=looking).resolve_own() == 0
        assert await store.journal.pending() == []


async def test_journal_N17_an_intent_of_another_process_is_no_own_one(store: Store, tmp_path: Path) -> None:
    async with opened(tmp_path) as other:
        await other.journal.begin(entry())
        assert await store.journal.resolve_own() == 0
