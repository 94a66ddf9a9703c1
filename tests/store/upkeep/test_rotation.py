"""Tests a change of keys: all values under the newest, in steps that can be cut short, while others write."""

import asyncio
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select, update

from proxy.modes import Change
from proxy.store import Store, StoreError
from proxy.store.audit.usage import Visit
from proxy.store.records.deliveries import Delivery, Subject
from proxy.store.records.short_chunks import ShortChunk
from proxy.store.sealing.contexts import Context, SealedColumn
from proxy.store.sql.tables import SEALED, api_keys, conversations, sessions
from proxy.store.upkeep.resealing import next_rows, step, write_step
from proxy.store.upkeep.rotation import Progress, Rotated
from tests.store.examples import (
    NOW,
    OWNER,
    add_chunk,
    case,
    cases_of,
    event,
    fernet_key,
    opened,
    record,
    session,
    transcription,
)
from tests.stores import ENGINES

pytestmark = pytest.mark.usefixtures("engine")

OLD, NEW, FOREIGN = fernet_key(1), fernet_key(2), fernet_key(3)


async def fill(store: Store, number: int = 0) -> None:
    """Writes a value in each sealed column."""
    case_id = f"case-{number}"
    await record(store, case(case_id), b'{"answer": 1}')
    await store.sessions.put(f"token-{number}", session())
    legacy = session(side="legacy", owner=f"{number}" * 64)
    await store.homes.learn_legacy_case(f"legacy-{number}", legacy, case_id, NOW)
    await store.conversations.put(case_id, OWNER, "conversation")
    await store.reports.apply(event(case_id=case_id, report_id=f"report-{number}"), NOW)
    await store.transcriptions.put(OWNER, case_id, transcription())
    await add_chunk(store, f"audio {number}".encode(), short=ShortChunk(b"R", "consulta.wav", None))
    change = Change(actor="ana", route="doc", mode="off", reason="a drill", organization="Clínica")
    await store.overrides.change(change, expected=None, at=NOW)
    visit = Visit("k", f"u{number}", "Clínica", "o", "okhttp", "doc", "new", 200, NOW)
    await store.evidence.add(visits=[visit], at=NOW)
    delivery = Delivery(f"body {number}".encode(), "signature", "application/json")
    await store.deliveries.receive(delivery, Subject("report", case_id), None, NOW)


async def values(store: Store) -> dict[tuple[str, str], list[tuple[Context, bytes]]]:
    """Returns the sealed values of each column, each with the context that it opens in."""

    def work(conn: Connection) -> dict[tuple[str, str], list[tuple[Context, bytes]]]:
        return {
            (column.table.name, column.name): [
                (SealedColumn(column).of(row), row._mapping[column])
                for row in conn.execute(
                    select(column.table).where(column.is_not(None)).order_by(*column.table.primary_key)
                )
            ]
            for columns in SEALED.values()
            for column in columns
        }

    return await store.database.read(work)


async def clear(store: Store) -> dict[tuple[str, str], list[bytes]]:
    """Returns the values of each column, opened."""
    return {
        at: [store.sealer.open(value, context) for context, value in own]
        for at, own in (await values(store)).items()
    }


def quiet(_: Progress) -> None:
    """Ignores the progress."""


async def test_every_sealed_column_is_under_the_new_key_and_the_old_one_can_go(tmp_path: Path) -> None:
    async with opened(tmp_path, [OLD]) as store:
        await fill(store)
        before = await clear(store)
    assert [column for column, own in before.items() if not own] == [], "the test fills every column"
    async with opened(tmp_path, [NEW, OLD]) as store:
        count = sum(map(len, before.values()))
        assert await store.rotation.run(quiet) == Rotated(renewed=count, left=0, lost=0)
    async with opened(tmp_path, [NEW]) as store:
        assert await clear(store) == before
        assert (await store.audit.verify()).first_bad is None
        assert store.sealer.owner("ana@clinic.example", "Clínica")  # by the pepper, which opened


async def test_without_a_rotation_the_old_key_is_still_needed(tmp_path: Path) -> None:
    async with opened(tmp_path, [OLD]) as store:
        await record(store, case())
    async with opened(tmp_path, [NEW, OLD]):
        pass
    async with opened(tmp_path, [NEW]) as store:
        with pytest.raises(StoreError, match="MICHIQ_SECRET_KEYS"):
            await store.cases.get("case-1")


async def test_what_is_left_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    async with opened(tmp_path, [OLD]) as store:
        await fill(store)
    async with opened(tmp_path, [NEW, OLD]) as store:
        before = await values(store)
        left = await store.rotation.left(quiet)
        assert (left.renewed, left.left, left.lost) == (0, sum(map(len, before.values())), 0)
        assert await values(store) == before


async def test_a_rotation_that_was_cut_short_goes_on_where_it_was(tmp_path: Path) -> None:
    async with opened(tmp_path, [OLD]) as store:
        for number in range(3):
            await fill(store, number)
        count = sum(map(len, (await values(store)).values()))

    class Cut(Exception):
        """An error that stands for the end of the process."""

    def end(progress: Progress) -> None:
        if progress.table == "conversations":
            raise Cut

    async with opened(tmp_path, [NEW, OLD]) as store:
        with pytest.raises(Cut):
            await store.rotation.run(end)
        left = (await store.rotation.left(quiet)).left
        assert 0 < left < count
        assert await store.rotation.run(quiet) == Rotated(renewed=left, left=0, lost=0)
        assert await store.rotation.run(quiet) == Rotated(renewed=0, left=0, lost=0)


async def test_a_value_that_is_written_while_its_row_is_sealed_anew_stays(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, [OLD]) as store:
        await store.sessions.put("token", session())
    columns = SEALED[sessions]
    async with opened(tmp_path, [NEW, OLD]) as store:
        rows = await store.database.read(partial(next_rows, table=sessions, columns=columns, after=None))
        sealed = step(store.sealer, sessions, columns, rows)
        await store.sessions.renew("token", "newer", NOW)
        await store.database.write(partial(write_step, table=sessions, changes=sealed.changes))
        kept = await store.sessions.get("token")
    assert kept is not None
    assert (kept.access_token, kept.access_expires_at) == ("newer", NOW)


async def test_many_and_large_rows_are_gone_through_step_by_step(tmp_path: Path) -> None:
    texts = [bytes(range(256)).hex() * 1500 * (1 + number % 3) for number in range(5)]  # up to 2 MB sealed

    def add(conn: Connection) -> None:
        refs = [f"{number:04}" for number in range(450)]
        sealed = [store.sealer.seal(b"key", SealedColumn(api_keys.c.api_key).at(ref)) for ref in refs]
        rows = [{"ref": ref, "api_key": key} for ref, key in zip(refs, sealed, strict=True)]
        conn.execute(insert(api_keys), rows)

    async with opened(tmp_path, [OLD]) as store:
        await store.database.write(add)
        for number, text in enumerate(texts):
            file = case().files[0]
            await record(store, case(f"case-{number}", files=(file, file), conversation=text))
    steps: list[Progress] = []
    async with opened(tmp_path, [NEW, OLD]) as store:
        rotated = await store.rotation.run(steps.append)
        assert rotated == Rotated(renewed=450 + 5 * 3 + 5 * 2 * 2, left=0, lost=0)
        assert [each.conversation for each in await cases_of(store, OWNER)] == texts
    first_pass = [step for step in steps if step.older]
    assert [(step.rows, step.of) for step in first_pass if step.table == "api_keys"] == [
        (200, 450),
        (400, 450),
        (450, 450),
    ]
    assert len([step for step in first_pass if step.table == "cases"]) >= 4


async def test_what_another_process_writes_meanwhile_stays(tmp_path: Path) -> None:
    async with opened(tmp_path, [OLD]) as store:
        for number in range(20):
            await fill(store, number)
    async with opened(tmp_path, [NEW, OLD]) as store, opened(tmp_path, [NEW, OLD]) as other:

        async def renew() -> None:
            for number in range(20):
                await other.sessions.renew(f"token-{number}", f"access-{number} (new)", None)
                await other.conversations.put(f"case-{number}", OWNER, f"conversation-{number} (new)")

        rotated, _ = await asyncio.gather(store.rotation.run(quiet), renew())
        assert rotated.left == 0
    async with opened(tmp_path, [NEW]) as store:
        for number in range(20):
            kept = await store.sessions.get(f"token-{number}")
            assert kept
            assert kept.access_token == f"access-{number} (new)"
            said = await store.conversations.get(f"case-{number}", OWNER)
            assert said
            assert said.id == f"conversation-{number} (new)"


async def test_a_process_that_still_seals_with_the_old_key_is_noticed(tmp_path: Path) -> None:
    async with opened(tmp_path, [OLD]) as behind:
        await behind.conversations.put("case-1", OWNER, "first")

    def write(progress: Progress) -> None:
        if progress.table == "conversations":
            late = behind.sealer.seal(b"late", SealedColumn(conversations.c.conversation).at("case-1"))
            change = update(conversations).values(conversation=late)
            ENGINES.outside(tmp_path, lambda conn: conn.execute(change))

    async with opened(tmp_path, [NEW, OLD]) as store:
        assert await store.rotation.run(write) == Rotated(renewed=3, left=1, lost=0)


async def test_a_value_that_no_key_opens_is_counted_and_left_alone(tmp_path: Path) -> None:
    async with opened(tmp_path, [FOREIGN, OLD]) as store:
        await record(store, case("lost"))
    async with opened(tmp_path, [OLD, FOREIGN]) as store:  # the pepper opens with the old key again
        await record(store, case("found"))
    async with opened(tmp_path, [NEW, OLD]) as store:
        rotated = await store.rotation.run(quiet)
        assert (rotated.left, rotated.lost) == (0, 5)  # the case, its ehr, its answer, and its file twice
        assert await store.cases.get("found")
    async with opened(tmp_path, [NEW, FOREIGN]) as store:
        assert await store.cases.get("lost")
