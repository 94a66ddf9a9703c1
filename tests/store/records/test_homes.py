"""Tests the home of a case, and the names that both sides have for it and its user."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

from proxy.store import Store
from proxy.store.sql.database import Database, Work
from proxy.values import Identity, Session, Side
from tests.store.examples import NOW, OTHER, OWNER, add_chunk, ago, case, opened, record, session
from tests.store.wrapped import Wrapped
from tests.stores import ENGINES

pytestmark = pytest.mark.usefixtures("engine")

T = TypeVar("T")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=9)


def legacy_session(**changes: object) -> Session:
    return session(**{"access_token": "", "access_expires_at": EPOCH, "side": "legacy", **changes})


async def learn(store: Store, token: str = "token", legacy_id: str = "legacy-1", **changes: object) -> bool:
    return await store.homes.learn_legacy_case(token, legacy_session(**changes), legacy_id, NOW)


async def test_an_id_that_nobody_knows_has_no_home(store: Store) -> None:
    assert [await store.homes.of(owner, "unknown") for owner in (OWNER, None)] == [None, None]


@pytest.mark.parametrize("owner", [OWNER, OTHER, None])
async def test_a_case_of_the_new_side_lives_there_whoever_asks(store: Store, owner: str | None) -> None:
    await record(store, case())
    assert await store.homes.of(owner, "case-1") == "new"


async def test_a_case_that_legacy_made_lives_there_for_its_owner_alone(store: Store) -> None:
    assert await learn(store)
    homes = [await store.homes.of(owner, "legacy-1") for owner in (OWNER, OTHER, None)]
    assert homes == ["legacy", None, None]


async def test_audio_from_before_there_were_homes_is_the_new_sides(store: Store) -> None:
    await add_chunk(store, b"RIFF")  # under OWNER, "case-1", which is no case
    assert [await store.homes.of(owner, "case-1") for owner in (OWNER, OTHER)] == ["new", None]


async def test_a_claimed_id_lives_where_it_was_claimed_even_if_audio_is_here_too(store: Store) -> None:
    await store.homes.claim(OWNER, "case-1", "legacy", NOW)
    await add_chunk(store, b"RIFF")
    assert await store.homes.of(OWNER, "case-1") == "legacy"


async def test_a_home_is_found_by_one_query(statements: list[str], store: Store) -> None:
    await learn(store)
    statements.clear()
    assert await store.homes.of(OWNER, "legacy-1") == "legacy"
    assert len([each for each in statements if "SELECT" in each]) == 1


@pytest.mark.parametrize(("first", "second"), [("legacy", "new"), ("new", "legacy")])
async def test_the_first_side_that_gets_a_chunk_keeps_the_id(store: Store, first: Side, second: Side) -> None:
    claims = [await store.homes.claim(OWNER, "free", side, NOW) for side in (first, second)]
    assert (claims, await store.homes.of(OWNER, "free")) == ([first, first], first)


async def test_a_claim_is_durable_and_holds_for_its_owner_alone(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.homes.claim(OWNER, "free", "legacy", NOW)
    async with opened(tmp_path) as store:
        assert await store.homes.of(OWNER, "free") == "legacy"
        assert await store.homes.claim(OTHER, "free", "new", NOW) == "new"


@pytest.mark.parametrize("round_", range(5))
async def test_two_processes_that_claim_an_id_at_once_agree(tmp_path: Path, round_: int) -> None:
    sides: tuple[Side, Side] = ("legacy", "new") if round_ % 2 else ("new", "legacy")
    async with opened(tmp_path) as one, opened(tmp_path) as two:
        both = await asyncio.gather(
            one.homes.claim(OWNER, "free", sides[0], NOW), two.homes.claim(OWNER, "free", sides[1], NOW)
        )
        kept = await one.homes.of(OWNER, "free")
    assert {*both} == {kept}


async def test_a_claim_takes_no_id_from_where_it_lives_already(store: Store) -> None:
    await record(store, case("made-here"))
    await learn(store, legacy_id="made-there")
    assert await store.homes.claim(OWNER, "made-here", "legacy", NOW) == "new"
    assert await store.homes.claim(OWNER, "made-there", "new", NOW) == "legacy"


async def test_a_token_that_legacy_gave_is_a_session_whose_access_token_is_renewed_at_first_need(
    store: Store,
) -> None:
    await learn(store, access_token="never to be kept", access_expires_at=None, side="new")
    assert await store.sessions.get("token") == legacy_session()
    assert await store.homes.legacy_token(OWNER, NOW) == "token"


async def test_a_session_made_here_is_of_the_new_side(store: Store) -> None:
    await store.sessions.put("token", session())
    kept = await store.sessions.get("token")
    assert kept is not None
    assert (kept.side, await store.homes.legacy_token(OWNER, NOW)) == ("new", None)


async def test_a_further_case_under_the_same_token_keeps_its_access_token(store: Store) -> None:
    await learn(store)
    await store.sessions.renew("token", "access-2", NOW)
    assert await learn(store, legacy_id="legacy-2", expires_at=LATER)
    kept = replace(legacy_session(expires_at=LATER), access_token="access-2", access_expires_at=NOW)
    assert await store.sessions.get("token") == kept


async def test_a_token_of_another_owner_never_changes_hands_and_nothing_of_the_case_is_kept(
    store: Store,
) -> None:
    await learn(store)
    assert not await learn(store, legacy_id="legacy-2", owner=OTHER)
    assert await store.sessions.get("token") == legacy_session()
    assert await store.homes.legacy_token(OTHER, NOW) is None
    assert await store.homes.of(OTHER, "legacy-2") is None


async def test_of_several_legacy_tokens_the_newest_is_given(store: Store) -> None:
    await learn(store, "first")
    await learn(store, "second", "legacy-2")
    assert await store.homes.legacy_token(OWNER, NOW) == "second"


async def test_a_legacy_token_that_has_expired_is_none(store: Store) -> None:
    await learn(store, expires_at=LATER)
    given = [await store.homes.legacy_token(OWNER, LATER - timedelta(seconds=s)) for s in (1, 0)]
    assert given == ["token", None]


async def test_a_refused_legacy_token_is_forgotten_and_its_session_stays(store: Store) -> None:
    await learn(store)
    await store.homes.forget_legacy_token(OWNER, "token")
    assert await store.homes.legacy_token(OWNER, NOW) is None
    assert await store.sessions.get("token") is not None


async def test_forgetting_an_older_token_leaves_the_newer_one(store: Store) -> None:
    await learn(store, "first")
    await learn(store, "second", "legacy-2")
    await store.homes.forget_legacy_token(OWNER, "first")
    await store.homes.forget_legacy_token(OTHER, "second")
    assert await store.homes.legacy_token(OWNER, NOW) == "second"


async def test_a_newer_token_that_comes_while_an_older_one_is_forgotten_stays(store: Store) -> None:
    await learn(store, "first")
    meanwhile = partial(learn, store, "second", "legacy-2")
    overtaken = replace(store.homes, database=_Overtaken(store.database, meanwhile))
    await overtaken.forget_legacy_token(OWNER, "first")
    assert await store.homes.legacy_token(OWNER, NOW) == "second"


class _Overtaken(Wrapped):
    """The open database; something else is written before each write of its own."""

    def __init__(self, database: Database, first: Callable[[], Awaitable[object]]) -> None:
        super().__init__(database)
        self._first = first

    async def write(self, work: Work[T], **how: Any) -> T:
        await self._first()
        return await self._database.write(work, **how)


async def test_both_ids_of_a_shadows_case_are_known_and_the_candidate_still_lives_on_the_new_side(
    store: Store,
) -> None:
    await record(store, case("candidate"))
    await learn(store, legacy_id="control")
    for _ in range(2):  # a repeat changes nothing
        await store.homes.pair("control", "candidate", OWNER, NOW)
    ids = [await store.homes.candidate_of(each) for each in ("control", "candidate")]
    assert ids == ["candidate", None]
    assert [await store.homes.candidates(owner) for owner in (OWNER, OTHER)] == [{"candidate"}, set()]
    assert await store.homes.of(OWNER, "candidate") == "new"
    assert await store.homes.of(OWNER, "control") == "legacy"


async def test_a_case_that_only_a_shadow_made_is_none_of_its_owners_new_cases(store: Store) -> None:
    await record(store, case("candidate"))
    await store.homes.pair("control", "candidate", OWNER, NOW)
    assert not await store.homes.has_new_cases(OWNER)
    await record(store, case("own"))
    assert [await store.homes.has_new_cases(owner) for owner in (OWNER, OTHER)] == [True, False]


async def test_homes_pairs_and_legacy_tokens_go_with_the_content_and_newer_ones_stay(store: Store) -> None:
    forever = session(expires_at=NOW + timedelta(days=1000))
    for at, owner, name in ((ago(days=91), OTHER, "old"), (ago(days=89), OWNER, "new")):
        await store.homes.learn_legacy_case(name, replace(forever, owner=owner), name, at)
        await store.homes.pair(f"control-{name}", f"candidate-{name}", owner, at)
    await store.retention.sweep(NOW, content_days=90, audio_days=30)
    assert [await store.homes.of(OTHER, "old"), await store.homes.of(OWNER, "new")] == [None, "legacy"]
    assert [await store.homes.legacy_token(owner, NOW) for owner in (OTHER, OWNER)] == [None, "new"]
    assert [await store.homes.candidates(owner) for owner in (OTHER, OWNER)] == [set(), {"candidate-new"}]


@pytest.mark.usefixtures("unused_files")
async def test_store_G10_a_legacy_token_and_what_it_stands_for_are_not_on_disk_in_the_clear(
    tmp_path: Path,
) -> None:
    who = Identity("canary-key", "canary-user", "canary-organization")
    async with opened(tmp_path) as store:
        await learn(store, "canary-token", identity=who, organization="canary-legacy-name")
        assert await store.homes.legacy_token(OWNER, NOW) == "canary-token"
        raw = await ENGINES.bytes_of(tmp_path)
    assert b"legacy-1" in raw  # what is not private shows that the write-ahead log is among the files
    assert b"canary-" not in raw
