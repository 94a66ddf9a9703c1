"""Ids in UUID form are found in whichever case, and are told as their side spelt them (CONTRACT G03)."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from proxy.store import Store
from proxy.store.records.deliveries import Delivery, Subject
from proxy.store.upkeep.erasure import OfCase
from proxy.values import folded_id
from tests.store.examples import (
    KEY,
    NOW,
    OWNER,
    ago,
    case,
    cases_of,
    chunk,
    event,
    opened,
    record,
    session,
    transcription,
)
from tests.store.older import Row, kept, made_old

LOWER = "0f8fad5b-d9cb-469f-a165-70867728950e"
UPPER, MIXED = LOWER.upper(), LOWER[:18] + LOWER[18:].upper()
OTHER = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
LAST_BEFORE = "0007"
SPELLINGS = pytest.mark.parametrize("spelt", [LOWER, UPPER, MIXED], ids=["lower", "upper", "mixed"])


async def add(
    store: Store, legacy_id: str, content: bytes, at: datetime = NOW, *, opens: bool = True
) -> None:
    assert await store.recordings.add_chunk(
        OWNER,
        legacy_id,
        chunk(content),
        opens=opens,
        filename=f"{content.decode()}.wav",
        content_type="audio/wav",
        container="wav",
        at=at,
    )


@pytest.mark.parametrize(
    "other", ["Case-1", LOWER.replace("-", ""), f"{LOWER}0", LOWER.replace("f", "g"), f"{LOWER}\n", ""]
)
def test_id_G03_only_the_form_of_a_uuid_is_folded(other: str) -> None:
    assert [folded_id(each) for each in (LOWER, UPPER, MIXED)] == [LOWER] * 3
    assert [folded_id(each) for each in (other, other.upper())] == [other, other.upper()]


@SPELLINGS
async def test_id_G03_a_case_is_found_in_any_spelling_and_keeps_the_platforms(
    store: Store, spelt: str
) -> None:
    made = case(spelt)
    await record(store, made)
    assert [await store.cases.get(each) for each in (LOWER, UPPER, MIXED)] == [made] * 3
    assert await cases_of(store, OWNER) == [made]


async def test_id_G03_two_other_ids_that_differ_in_case_are_two(store: Store) -> None:
    for name in ("Case-a", "case-A"):
        await record(store, case(name))
        await store.homes.claim(OWNER, name, "legacy", NOW)
    found = [await store.cases.get(name) for name in ("Case-a", "case-A", "case-a")]
    assert [each and each.id for each in found] == ["Case-a", "case-A", None]


@SPELLINGS
async def test_id_G03_all_that_joins_a_case_is_under_one_id(store: Store, spelt: str) -> None:
    await record(store, case(MIXED))
    await add(store, spelt, b"one")
    await add(store, UPPER, b"two", opens=False)
    await store.transcriptions.put(OWNER, spelt, transcription())
    await store.conversations.put(spelt, OWNER, "conversation")
    attempt = await store.links.begin(spelt, "audio-1", NOW)
    assert attempt
    await store.links.done(attempt, OTHER.upper())
    await store.reports.apply(event(case_id=spelt), NOW)
    await store.homes.pair("control", spelt, OWNER, NOW)
    for each in (LOWER, UPPER, MIXED):
        assert [len(recording.chunks) for recording in await store.recordings.of(OWNER, each)] == [2]
        assert await store.transcriptions.of_ids(OWNER, [each]) == {each: [transcription()]}
        assert await store.transcriptions.get(OWNER, each, "audio-1") == transcription()
        talked = await store.conversations.get(each, OWNER)
        assert talked is not None
        assert talked.id == "conversation"
        assert [link.case_id for link in await store.links.of(each)] == [OTHER.upper()]
        assert [report.id for report in await store.reports.of_cases([each])] == ["report-1"]
        assert await store.homes.of(OWNER, each) == "new"
    assert await store.homes.candidates(OWNER) == {LOWER}
    assert not await store.homes.has_new_cases(OWNER)


@SPELLINGS
async def test_id_G03_an_id_that_the_legacy_server_gave_is_told_as_it_spelt_it(
    store: Store, spelt: str
) -> None:
    given = session(side="legacy", access_token="")
    await store.homes.claim(OWNER, MIXED, "new", NOW)
    await store.homes.learn_legacy_case("token", given, spelt, NOW)
    homes = [await store.homes.find(OWNER, each) for each in (LOWER, UPPER, MIXED)]
    assert {(home.side, home.spelling) for home in homes if home} == {("legacy", spelt)}
    assert await store.homes.claim(OWNER, UPPER, "new", NOW) == "legacy"


@SPELLINGS
async def test_id_G03_a_case_is_erased_in_any_spelling_and_what_comes_late_too(
    store: Store, spelt: str
) -> None:
    await record(store, case(MIXED))
    await add(store, UPPER, b"one")
    attempt = await store.links.begin(LOWER, "audio-1", NOW)
    assert attempt
    await store.links.done(attempt, OTHER.upper())
    body = Delivery(b"{}", "signature", "application/json")
    await store.deliveries.receive(body, Subject("report-1", UPPER), None, NOW)
    for each in (spelt, OTHER):
        await store.reports.apply(event(case_id=each, report_id=each), NOW)
    removed = await store.erasure.erase(OfCase(spelt), "eva", NOW)
    assert removed == {
        "webhook": 1,
        "report": 2,
        "recording": 1,
        "kept answer": 1,
        "linked case": 1,
        "case": 1,
    }
    for each in (LOWER, UPPER, OTHER.upper()):
        assert not await store.reports.apply(event(case_id=each, report_id="late"), NOW)


async def test_id_G03_a_call_that_nobody_knows_the_end_of_is_told_under_the_cases_own_spelling(
    store: Store,
) -> None:
    await record(store, case(UPPER))
    attempt = await store.links.begin(LOWER, "audio-1", NOW)
    assert attempt
    await store.links.fail(attempt, "timeout", ambiguous=True)
    assert [each.id for each in await store.pending()] == [UPPER]


def shouting(table: str, row: Row) -> Row:
    """Returns the row with its ids in capitals, as an older release stored what an upstream gave so."""
    ids = (
        {"id"}
        if table == "cases"
        else {"case_id", "linked_case_id", "legacy_id", "control_id", "candidate_id"}
    )
    return {
        name: value.upper() if name in ids and value in (LOWER, OTHER) else value
        for name, value in row.items()
    }


async def migrated(tmp_path: Path, edit: Any = shouting) -> Path:
    """Makes a folder with the rows of `new`, as an older release left them."""
    made_old(tmp_path / "new", tmp_path / "old", LAST_BEFORE, edit, KEY)
    return tmp_path / "old"


async def test_id_G03_old_rows_in_capitals_are_found_after_the_migration(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    async with opened(tmp_path / "new") as store:
        await record(store, case(LOWER), b'{"answer": 1}')
        await add(store, LOWER, b"one")
        await store.transcriptions.put(OWNER, LOWER, transcription())
        await store.conversations.put(LOWER, OWNER, "conversation")
        attempt = await store.links.begin(LOWER, "audio-1", NOW)
        assert attempt
        await store.links.done(attempt, OTHER)
        await store.reports.apply(event(case_id=LOWER), NOW)
        await store.homes.pair(OTHER, LOWER, OWNER, NOW)
        await store.homes.learn_legacy_case("token", session(), OTHER, NOW)
        body = Delivery(b"{}", "signature", "application/json")
        await store.deliveries.receive(body, Subject("report-1", LOWER), None, NOW)
    folder = await migrated(tmp_path)
    assert LOWER not in {row["id"] for row in kept(folder, "cases")}, "the older store has it in lower case"
    async with opened(folder) as store:
        assert await store.cases.get(LOWER) == case(UPPER)
        assert [len(each.chunks) for each in await store.recordings.of(OWNER, LOWER)] == [1]
        assert await store.transcriptions.of(OWNER, LOWER) == [transcription()]
        assert await store.conversations.get(LOWER, OWNER)
        assert [link.case_id for link in await store.links.of(LOWER)] == [OTHER.upper()]
        assert [report.id for report in await store.reports.of_cases([LOWER])] == ["report-1"]
        assert await store.homes.candidate_of(OTHER) == LOWER
        home = await store.homes.find(OWNER, OTHER)
        assert home is not None
        assert (home.side, home.spelling) == ("legacy", OTHER.upper())
        removed = await store.erasure.erase(OfCase(LOWER), "eva", NOW)
    assert removed == dict.fromkeys(
        ("webhook", "report", "conversation", "transcription", "recording", "kept answer", "home", "pair"), 1
    ) | {"linked case": 1, "case": 1}


async def test_id_G03_what_was_kept_under_two_spellings_is_joined_in_the_order_of_time(
    tmp_path: Path,
) -> None:
    """Stores audio of an id in capitals apart: its recordings fall between those of the case."""
    (tmp_path / "new").mkdir()
    async with opened(tmp_path / "new") as store:
        await store.homes.claim(OWNER, LOWER, "new", ago(hours=1))
        await store.homes.claim(OWNER, OTHER, "legacy", ago(hours=2))
        for number, content in enumerate((b"first", b"third", b"fifth")):
            await add(store, LOWER, content, ago(hours=9 - 2 * number))
        for number, content in enumerate((b"second", b"fourth")):
            await add(store, OTHER, content, ago(hours=8 - 2 * number))
        await store.transcriptions.put(
            OWNER, LOWER, transcription("same", text="older", created_at=ago(hours=9))
        )
        await store.transcriptions.put(
            OWNER, OTHER, transcription("same", text="newer", created_at=ago(hours=1))
        )
        await store.transcriptions.put(OWNER, OTHER, transcription("own", created_at=ago(hours=2)))

    def apart(_table: str, row: Row) -> Row:
        return row | ({"legacy_id": UPPER} if row.get("legacy_id") == OTHER else {})

    async with opened(await migrated(tmp_path, apart)) as store:
        found = await store.recordings.of(OWNER, MIXED)
        names = [each.filename for each in found]
        assert names == ["first.wav", "second.wav", "third.wav", "fourth.wav", "fifth.wav"]
        texts = {each.digest: each.text for each in await store.transcriptions.of(OWNER, LOWER)}
        assert texts == {"same": "older", "own": "Hola"}
        assert await store.homes.of(OWNER, LOWER) == "legacy"
        await add(store, UPPER, b"sixth")
        assert (await store.recordings.of(OWNER, LOWER))[-1].filename == "sixth.wav"


async def test_id_G03_neither_of_two_cases_that_differ_in_spelling_is_lost_by_the_migration(
    tmp_path: Path,
) -> None:
    (tmp_path / "new").mkdir()
    async with opened(tmp_path / "new") as store:
        for name in (LOWER, OTHER):
            await record(store, case(name))

    def apart(table: str, row: Row) -> Row:
        name = {"cases": "id", "case_files": "case_id"}.get(table, "")
        return row | ({name: UPPER} if row.get(name) == OTHER else {})

    folder = await migrated(tmp_path, apart)
    async with opened(folder) as store:
        assert await store.cases.get(UPPER) == case(LOWER)
        assert sorted(each.id for each in await cases_of(store, OWNER)) == [UPPER, LOWER]
