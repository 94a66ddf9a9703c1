"""A mail address is one owner in any case of its letters; older hashes come together (CONTRACT N06)."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.store import Store
from proxy.store.audit.request_traces import RequestTrace
from proxy.store.audit.trail import Access
from proxy.store.audit.usage import Visit
from proxy.store.upkeep.erasure import OfUser
from proxy.values import Identity, Session
from tests.store.examples import NOW, ago, case, cases_of, chunk, entry, opened, session, transcription

pytestmark = pytest.mark.usefixtures("engine")

MAIL, SHOUTED, ORGANIZATION = "ana@clinica.example", "Ana@Clinica.EXAMPLE", "Clínica"
ID = "case-1"


def hashes(store: Store, user: str = SHOUTED) -> tuple[str, str]:
    """Returns the owner's hash of this release, and that of an earlier one for this spelling."""
    return store.sealer.owner(user, ORGANIZATION), store.sealer.spelt_owner(user, ORGANIZATION)


def session_of(owner: str, user: str = SHOUTED) -> Session:
    return session(owner=owner, identity=Identity("key", user, ORGANIZATION), organization=ORGANIZATION)


async def add(store: Store, owner: str, content: bytes, legacy_id: str = ID, hours: float = 0) -> None:
    await store.recordings.add_chunk(
        owner,
        legacy_id,
        chunk(content),
        opens=True,
        filename=content.decode(),
        content_type="audio/wav",
        container="wav",
        at=ago(hours=hours),
    )


async def fill(store: Store, owner: str) -> None:
    """Writes something in every table that has owners, as an earlier release did."""
    made = case(ID, owner=owner, user=SHOUTED, organization=ORGANIZATION)
    await store.journal.begin(entry(owner=owner))
    await store.journal.record("intent-1", made, b'{"first": 1}')
    await store.sessions.put("old token", session_of(owner))
    await store.homes.learn_legacy_case("legacy token", session_of(owner), "legacy-1", ago(hours=1))
    await store.homes.pair("control", "candidate", owner, NOW)
    await store.conversations.put(ID, owner, "conversation")
    await store.transcriptions.put(owner, ID, transcription())
    await add(store, owner, b"one")
    visit = Visit("k", owner, ORGANIZATION, "o", "okhttp", "doc", "new", 200, NOW)
    stories = [RequestTrace("request-1", NOW, {"asked": {"user": owner[:16]}})]
    await store.evidence.add(visits=[visit], stories=stories, at=NOW)


@pytest.mark.parametrize("other", [MAIL.upper(), SHOUTED, "aNA@clinica.example"])
def test_owner_N06_a_mail_address_is_one_in_any_case_of_its_ascii_letters(other: str, store: Store) -> None:
    owner = store.sealer.owner
    assert (
        owner(other, ORGANIZATION)
        == owner(MAIL, ORGANIZATION)
        == store.sealer.spelt_owner(MAIL, ORGANIZATION)
    )
    assert owner(other, ORGANIZATION.lower()) != owner(other, ORGANIZATION)


def test_owner_N06_only_the_ascii_letters_of_an_address_are_folded(store: Store) -> None:
    owner = store.sealer.owner
    assert owner("ÁNA@clinica.example", "o") != owner("ána@clinica.example", "o")
    assert owner("\N{KELVIN SIGN}ai@clinica.example", "o") != owner("kai@clinica.example", "o")
    assert owner("ANA", "o") != owner("ana", "o"), "no mail address"


async def test_owner_N06_all_rows_of_an_older_hash_move_and_its_tokens_go_on(store: Store) -> None:
    owner, older = hashes(store)
    await fill(store, older)
    before = await store.sessions.get("old token")
    await store.owners.gather(owner, [older])
    assert before is not None
    assert await store.sessions.get("old token") == replace(before, owner=owner)
    assert [each.id for each in await cases_of(store, owner)] == [ID]
    assert await store.homes.legacy_token(owner, NOW) == "legacy token"
    assert await store.homes.of(owner, "legacy-1") == "legacy"
    assert await store.homes.candidates(owner) == {"candidate"}
    assert await store.conversations.get(ID, owner)
    assert await store.transcriptions.of(owner, ID) == [transcription()]
    assert [each.filename for each in await store.recordings.of(owner, ID)] == ["one"]
    assert {each.client.user for each in await store.ledger.calls()} == {owner}
    again = await store.journal.begin(entry("intent-2", owner=owner))
    assert again is not None
    assert again.answer == b'{"first": 1}'
    assert await store.erasure.find(OfUser(older)) == {"told request": 1}, (
        "nothing is left under the old hash"
    )


async def test_owner_N06_recordings_that_meet_are_numbered_in_the_order_of_time(store: Store) -> None:
    owner, older = hashes(store)
    for name, whose, hours in (("a", older, 9), ("b", owner, 8), ("c", older, 7), ("d", owner, 6)):
        await add(store, whose, name.encode(), hours=hours)
    await add(store, older, b"alone", "other-id")
    await store.owners.gather(owner, [older])
    assert [each.filename for each in await store.recordings.of(owner, ID)] == ["a", "b", "c", "d"]
    assert [each.filename for each in await store.recordings.of(owner, "other-id")] == ["alone"]
    await add(store, owner, b"e")
    assert [each.filename for each in await store.recordings.of(owner, ID)][-1] == "e"


@pytest.mark.parametrize("first", ["old", "new"])
async def test_owner_N06_of_rows_that_meet_the_older_stays_and_the_newest_legacy_session(
    store: Store, first: str
) -> None:
    owner, older = hashes(store)
    order = [(older, "old"), (owner, "new")] if first == "old" else [(owner, "new"), (older, "old")]
    for hours, (whose, name) in zip((5, 4), order, strict=True):
        kept = transcription(text=name, created_at=ago(hours=hours))
        await store.transcriptions.put(whose, ID, kept)
        await store.homes.claim(whose, ID, "legacy" if name == "old" else "new", ago(hours=hours))
        await store.homes.learn_legacy_case(name, session_of(whose), f"case of {name}", ago(hours=hours))
        begun = entry(f"intent of {name}", owner=whose, created_at=ago(hours=hours))
        assert await store.journal.begin(begun) is None
    await store.owners.gather(owner, [older])
    assert [each.text for each in await store.transcriptions.of(owner, ID)] == [first]
    assert await store.homes.of(owner, ID) == ("legacy" if first == "old" else "new")
    assert await store.homes.legacy_token(owner, NOW) == ("new" if first == "old" else "old")
    again = await store.journal.begin(entry("again", owner=owner))
    assert again is not None
    assert again.id == f"intent of {first}"
    assert await store.journal.resolve_abandoned() == 2, "neither intent is lost"


async def test_owner_N06_what_a_call_writes_that_began_before_the_move_is_not_lost(
    store: Store,
) -> None:
    owner, older = hashes(store)
    await store.owners.gather(owner, [older])
    await add(store, older, b"late")
    await store.transcriptions.put(older, ID, transcription())
    await store.conversations.put(ID, older, "conversation")
    await store.conversations.add_sent(ID, older, {"passage"})
    await store.homes.claim(older, "own-id", "legacy", NOW)
    await store.homes.pair("control", "candidate", older, NOW)
    assert [each.filename for each in await store.recordings.of(owner, ID)] == ["late"]
    assert await store.transcriptions.of(owner, ID) == [transcription()]
    talked = await store.conversations.get(ID, owner)
    assert talked is not None
    assert talked.sent == {"passage"}
    assert await store.homes.of(owner, "own-id") == "legacy"
    assert await store.homes.candidates(owner) == {"candidate"}


@pytest.mark.parametrize("moved", [False, True], ids=["not moved", "moved"])
async def test_owner_N06_a_user_is_erased_under_every_hash_that_is_known_of_them(
    store: Store, moved: bool
) -> None:
    """Erases by any spelling that the operator has: the sealed user of a session or case gives the others."""
    owner, older = hashes(store)
    await fill(store, older)
    other = store.sealer.spelt_owner("BEA@clinica.example", ORGANIZATION)
    await store.sessions.put("bea", session_of(other, "BEA@clinica.example"))
    if moved:
        await store.owners.gather(owner, [older])
    removed = await store.erasure.erase(OfUser(owner), "eva", NOW)
    expected = dict.fromkeys(
        ("conversation", "transcription", "recording", "kept answer", "home", "pair", "case", "told request"),
        1,
    ) | {"session": 2, "legacy session": 1, "ledger row": 1, "client": 1}
    assert removed == expected | ({"alias": 1} if moved else {})
    assert await store.erasure.find(OfUser(owner, (older,))) == {}
    assert await store.sessions.get("bea"), "another user's"


async def test_owner_N06_rows_without_a_sealed_user_are_erased_by_the_spelling_they_were_kept_under(
    store: Store,
) -> None:
    owner, older = hashes(store)
    await add(store, older, b"one")
    assert await store.erasure.find(OfUser(owner)) == {}
    assert await store.erasure.erase(OfUser(owner, (older,)), "eva", NOW) == {"recording": 1}


async def test_owner_N06_an_access_is_noted_once_a_day_by_whichever_hash(
    store: Store,
) -> None:
    owner, older = hashes(store)
    of_case, of_list = Access(older, "c" * 64, "doc", NOW), Access(older, older, "encounters", NOW)
    await store.evidence.add(accesses=[of_case, of_list], at=NOW)
    before = await store.audit.all()
    await store.owners.gather(owner, [older])
    again = [replace(of_case, owner=owner), replace(of_list, owner=owner, case=owner)]
    await store.evidence.add(accesses=again, at=NOW)
    assert await store.audit.all() == before
    await store.evidence.add(accesses=[replace(again[0], route="query")], at=NOW)
    assert len(await store.audit.all()) == 3


async def test_owner_N06_a_user_who_was_seen_under_an_older_hash_is_no_new_one(store: Store) -> None:
    owner, older = hashes(store)
    assert await store.audit.first_sight("user", older, NOW)
    assert not await store.audit.first_sight("user", owner, NOW, (older,))
    assert len(await store.audit.all()) == 1


async def test_owner_N06_two_processes_that_gather_at_once_move_the_rows_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as one, opened(tmp_path) as two:
        owner, older = hashes(one)
        await fill(one, older)
        await asyncio.gather(*(each.owners.gather(owner, [older, owner]) for each in (one, two, one)))
        assert await one.owners.older_hashes(owner) == (older,)
        assert [each.id for each in await cases_of(two, owner)] == [ID]
