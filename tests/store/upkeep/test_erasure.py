"""Tests the erase on demand: all of a case or of a user, and nothing else."""

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, Row, select

from proxy.store import Store, StoreError
from proxy.store.audit.request_traces import RequestTrace
from proxy.store.audit.trail import Access
from proxy.store.audit.usage import Visit
from proxy.store.records.deliveries import Delivery, Subject
from proxy.store.sql.tables import SEALED, metadata
from proxy.store.upkeep.erasure import OfCase, OfUser, Removed
from proxy.values import Chunk, Identity, Json
from tests.store.examples import NOW, case, cases_of, entry, event, session, transcription

pytestmark = pytest.mark.usefixtures("engine")

USERS = ("ana@clinic.example", "eva@clinic.example")
# What of a case hangs on it, by the words of the report.
OF_A_CASE = {
    "webhook": 1,
    "report": 2,
    "conversation": 1,
    "transcription": 1,
    "recording": 1,
    "kept answer": 1,
    "linked case": 1,
    "case": 1,
}
OF_A_USER_TOO = {"session": 1, "legacy session": 1, "ledger row": 1, "client": 1, "told request": 2}


async def fill_case(store: Store, owner: str, case_id: str) -> None:
    """Stores a case, with everything that can join it."""
    await store.journal.begin(entry(f"intent-{case_id}", owner=owner, idempotency=None))
    answer = f'{{"michiq_uuid": "{case_id}"}}'.encode()
    await store.journal.record(f"intent-{case_id}", case(case_id, owner=owner), answer)
    await store.conversations.put(case_id, owner, f"conversation of {case_id}")
    await store.transcriptions.put(owner, case_id, transcription(f"audio of {case_id}"))
    attempt = await store.links.begin(case_id, f"audio of {case_id}", NOW)
    assert attempt
    await store.links.done(attempt, f"linked-{case_id}")
    for of in (case_id, f"linked-{case_id}"):
        await store.reports.apply(event(case_id=of, report_id=f"report of {of}"), NOW)
    delivery = Delivery(f'{{"caseId": "{case_id}"}}'.encode(), "signature", "application/json")
    await store.deliveries.receive(delivery, Subject(f"report of {case_id}", case_id), None, NOW)
    async with store.blobs.writer() as writer:
        await writer.write(b"audio")
        name, key = await writer.commit()
    await store.recordings.add_chunk(
        owner,
        case_id,
        Chunk(name, key, 5, f"sha of {case_id}"),
        opens=True,
        filename="a.wav",
        content_type="audio/wav",
        container="wav",
        at=NOW,
    )


async def fill_user(store: Store, user: str, cases: int = 1) -> str:
    """Stores a user with cases, and everything that is stored of the user alone; returns their owner hash."""
    owner = store.sealer.owner(user, "Clínica")
    who = session(owner=owner, identity=Identity(f"key of {user}", user, "Clínica"))
    for number in range(cases):
        await fill_case(store, owner, f"{user.partition('@')[0]}-case-{number}")
    await store.sessions.put(f"token of {user}", who)
    legacy_id = f"{user.partition('@')[0]}-legacy"
    await store.homes.learn_legacy_case(f"token of {user}", who, legacy_id, NOW)
    visit = Visit("k" * 64, owner, "Clínica", "o" * 64, "okhttp", "doc", "new", 200, NOW)
    asked: Json = {"asked": {"user": owner[:16]}, "route": "doc"}
    stories = [
        RequestTrace(f"request of {user}", NOW, asked),
        RequestTrace(f"request of {user}", NOW, {"shadow": {}}),
    ]
    await store.evidence.add(visits=[visit], stories=stories, at=NOW)
    return owner


async def rows(store: Store) -> dict[str, Sequence[Row[tuple[object, ...]]]]:
    """Returns all rows but the audit's."""

    def work(conn: Connection) -> dict[str, Sequence[Row[tuple[object, ...]]]]:
        tables = [table for table in metadata.sorted_tables if table.name not in {"audit", "meta", "changes"}]
        return {
            table.name: conn.execute(select(table).order_by(*table.primary_key)).all() for table in tables
        }

    return await store.database.read(work)


async def secrets_of(store: Store, folder: Path) -> set[bytes]:
    """Returns every value that was sealed, and every blob's name."""
    kept = await rows(store)
    sealed = {
        value
        for table, columns in SEALED.items()
        for row in kept[table.name]
        for column in columns
        if (value := row._mapping[column.name]) is not None
    }
    names = {path.name.encode() for path in (folder / "blobs").rglob("*") if len(path.name) == 32}
    return sealed | names


async def test_all_of_a_case_goes_and_the_users_other_cases_stay_as_they_were(store: Store) -> None:
    await fill_user(store, USERS[0])
    before = await rows(store)
    await fill_case(store, store.sealer.owner(USERS[0], "Clínica"), "gone")
    assert await store.erasure.find(OfCase("gone")) == OF_A_CASE
    assert await store.erasure.erase(OfCase("gone"), "eva", NOW) == OF_A_CASE
    assert await rows(store) == before
    assert await store.erasure.find(OfCase("gone")) == {}


async def test_all_of_a_user_goes_and_other_users_stay_as_they_were(store: Store, tmp_path: Path) -> None:
    await fill_user(store, USERS[1])
    before, blobs = await rows(store), await secrets_of(store, tmp_path)
    owner = await fill_user(store, USERS[0], cases=3)
    expected = {what: 3 * count for what, count in OF_A_CASE.items()} | {**OF_A_USER_TOO, "home": 1}
    assert await store.erasure.find(OfUser(owner)) == expected
    assert await store.erasure.erase(OfUser(owner), "eva", NOW) == expected
    assert await rows(store) == before
    assert await secrets_of(store, tmp_path) == blobs
    assert await store.sessions.get(f"token of {USERS[0]}") is None
    assert await store.sessions.get(f"token of {USERS[1]}")


@pytest.mark.parametrize("asked", ["control", "candidate", "linked-candidate"])
async def test_a_case_is_erased_by_whichever_of_its_names(store: Store, asked: str) -> None:
    owner = await fill_user(store, USERS[0])
    before = await rows(store)
    await fill_case(store, owner, "candidate")
    await store.homes.claim(owner, "control", "legacy", NOW)
    await store.homes.pair("control", "candidate", owner, NOW)
    assert await store.erasure.erase(OfCase(asked), "eva", NOW) == OF_A_CASE | {"home": 1, "pair": 1}
    assert await rows(store) == before


async def test_a_users_pairs_go_also_of_cases_that_are_kept_no_more(store: Store) -> None:
    """Keeps a pair without its case: a pair says that two ids are one case of the user, which may be gone."""
    owner, other = (store.sealer.owner(user, "Clínica") for user in USERS)
    for whose, name in ((owner, "one"), (owner, "two"), (other, "three")):
        await store.homes.pair(f"control-{name}", f"candidate-{name}", whose, NOW)
    assert await store.erasure.erase(OfUser(owner), "eva", NOW) == {"pair": 2}
    kept = [await store.homes.candidate_of(f"control-{name}") for name in ("one", "two", "three")]
    assert kept == [None, None, "candidate-three"]


async def test_audio_that_is_kept_under_an_id_without_a_case_goes_with_the_id(store: Store) -> None:
    owner = store.sealer.owner(USERS[0], "Clínica")
    await store.homes.claim(owner, "own-id", "new", NOW)
    await store.transcriptions.put(owner, "own-id", transcription())
    assert await store.erasure.erase(OfCase("own-id"), "eva", NOW) == {"home": 1, "transcription": 1}


async def test_the_audit_has_a_row_that_names_nobody_and_what_was_audited_stays(store: Store) -> None:
    owner = await fill_user(store, USERS[0])
    await store.evidence.add(accesses=[Access(owner, store.sealer.case("ana-case-0"), "doc", NOW)], at=NOW)
    of_case = await store.erasure.erase(OfCase("ana-case-0"), "operator", NOW)
    of_user = await store.erasure.erase(OfUser(owner), "operator", NOW)
    accessed, case_erased, linked_erased, user_erased = await store.audit.all()
    assert (accessed.action, accessed.subject) == ("case_accessed", case_erased.subject)
    assert (case_erased.action, case_erased.actor) == ("case_erased", "operator")
    assert (user_erased.action, user_erased.subject) == ("user_erased", owner)
    assert linked_erased.subject == store.sealer.case("linked-ana-case-0")
    assert [json.loads(each.detail) for each in (case_erased, user_erased)] == [of_case, of_user]
    assert "ana-case-0" not in repr(case_erased)
    assert (await store.audit.verify()).first_bad is None


@pytest.mark.parametrize("case_id", ["ana-case-0", "linked-ana-case-0"])
@pytest.mark.parametrize("of_user", [False, True], ids=["case", "user"])
async def test_a_report_that_comes_after_its_case_was_erased_is_not_kept(
    store: Store, case_id: str, of_user: bool
) -> None:
    owner = await fill_user(store, USERS[0])
    await store.erasure.erase(OfUser(owner) if of_user else OfCase("ana-case-0"), "eva", NOW)
    late = event("updated", case_id=case_id, report_id="late", at=NOW + timedelta(days=1))
    assert not await store.reports.apply(late, NOW)
    assert await store.reports.of_cases([case_id]) == []


async def test_what_a_proxy_notes_a_moment_late_of_a_user_can_be_erased_too(store: Store) -> None:
    owner = await fill_user(store, USERS[0])
    await store.erasure.erase(OfUser(owner), "eva", NOW)
    gone = await rows(store)
    visit = Visit("k" * 64, owner, "Clínica", "o" * 64, "okhttp", "doc", "new", 200, NOW)
    await store.evidence.add(
        visits=[visit], stories=[RequestTrace("last", NOW, {"asked": {"user": owner[:16]}})], at=NOW
    )
    assert await store.erasure.find(OfUser(owner)) == {"ledger row": 1, "client": 1, "told request": 1}
    await store.erasure.erase_late(owner)
    assert await rows(store) == gone


async def test_what_is_not_there_is_erased_without_a_row_in_the_audit(store: Store) -> None:
    await fill_user(store, USERS[0])
    before = await rows(store)
    nothing: Removed = {}
    assert await store.erasure.erase(OfCase("unknown"), "eva", NOW) == nothing
    assert await store.erasure.erase(OfUser("f" * 64), "eva", NOW) == nothing
    assert (await rows(store), await store.audit.all()) == (before, [])


async def test_a_call_of_theirs_that_is_under_way_is_not_recorded(store: Store) -> None:
    owner = await fill_user(store, USERS[0])
    await store.journal.begin(entry("under-way", owner=owner))
    await store.erasure.erase(OfUser(owner), "eva", NOW)
    with pytest.raises(StoreError, match="no open intent"):
        await store.journal.record("under-way", case("late", owner=owner), b"{}")
    assert await cases_of(store, owner) == []
