"""The audit trail: what is in it, and that nobody changes it unseen."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import pytest
from sqlalchemy import Connection

from proxy.store import Store, StoreError
from proxy.store.audit.trail import AuditEvent, AuditVerdict
from tests.store.examples import NOW, ago, fernet_key, opened
from tests.stores import ENGINES, EngineName

pytestmark = pytest.mark.usefixtures("engine")


async def test_audit_N05_a_first_sight_is_noted_once(store: Store) -> None:
    seen = [await store.audit.first_sight("user", "digest", at) for at in (ago(days=1), NOW)]
    assert seen == [True, False]
    assert await store.audit.all() == [AuditEvent(ago(days=1), "proxy", "first_user", "digest")]


async def test_audit_N05_two_first_sights_at_once_are_one(store: Store) -> None:
    await asyncio.gather(*(store.audit.all() for _ in range(4)))  # with open connections all look at once
    seen = await asyncio.gather(*(store.audit.first_sight("user", "digest", NOW) for _ in range(4)))
    assert sorted(seen) == [False, False, False, True]


async def test_audit_N05_users_and_organizations_are_told_apart(store: Store) -> None:
    await store.audit.first_sight("user", "digest", NOW)
    assert await store.audit.first_sight("organization", "digest", NOW)


async def test_audit_events_are_listed_as_they_were_written(store: Store) -> None:
    await store.audit.add("ana", "later", "digest", NOW)
    await store.audit.add("ana", "earlier", "digest", ago(days=1))
    assert [event.action for event in await store.audit.all()] == ["later", "earlier"]


async def fill(store: Store, rows: int = 6) -> None:
    for number in range(1, rows + 1):
        await store.audit.add(
            "ana", "mode_set", f"subject {number}", ago(minutes=number), f'{{"n":{number}}}'
        )


async def test_an_untouched_trail_is_whole(store: Store) -> None:
    assert await store.audit.verify() == AuditVerdict(0, 0, "")
    await fill(store)
    await store.audit.first_sight("user", "digest", NOW)
    verdict = await store.audit.verify()
    assert (verdict.rows, verdict.chained, verdict.first_bad, verdict.reason) == (7, 7, None, "")


async def test_the_trail_stays_whole_when_the_store_is_opened_again_with_a_new_key(tmp_path: Path) -> None:
    old, new = fernet_key(1), fernet_key(2)
    async with opened(tmp_path, [old]) as store:
        await fill(store)
    async with opened(tmp_path, [new, old]):
        pass
    async with opened(tmp_path, [new]) as store:
        await fill(store)
        verdict = await store.audit.verify()
    assert (verdict.rows, verdict.first_bad) == (12, None)


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'eva'", "DELETE FROM audit"])
async def test_the_database_refuses_to_change_or_remove_a_row(store: Store, statement: str) -> None:
    await fill(store)
    with pytest.raises(StoreError) as caught:
        await store.database.write(lambda conn: conn.exec_driver_sql(statement))
    assert "only added to" in str(caught.value.__cause__)


Spellings: TypeAlias = Mapping[EngineName, str]

AS_END = "UPDATE meta SET value = (SELECT {} FROM audit ORDER BY id DESC LIMIT 1) WHERE name = 'audit_head'"
NEWEST_AS_END: Spellings = {
    "sqlite": AS_END.format("CAST(id || ' ' || hash || ' ' || hash AS BLOB)"),
    "postgresql": AS_END.format("convert_to(id || ' ' || hash || ' ' || hash, 'UTF8')"),
}
NO_TIME: Spellings = {
    "sqlite": "UPDATE audit SET at = 'noon' WHERE id = 3",
    "postgresql": "UPDATE audit SET at = 9223372036854775807 WHERE id = 3",
}


@pytest.mark.parametrize(
    ("statements", "first_bad", "said"),
    [
        *[
            ([f"UPDATE audit SET {column} = {value} WHERE id = 3"], 3, "row 3 is not as it was written")
            for column, value in {
                "at": "at + 1",
                "actor": "'eva'",
                "action": "'mode_cleared'",
                "subject": "'*'",
                "detail": "''",
                "hash": "'0'",
            }.items()
        ],
        (["UPDATE audit SET hash = NULL WHERE id = 3"], 3, "row 3 is not as it was written"),
        ([NO_TIME], 3, "row 3 is not as it was written"),
        (["UPDATE audit SET actor = 'eva' WHERE id = 1"], 1, "row 1, or one before it"),
        (["UPDATE audit SET actor = 'eva' WHERE id = 6"], 6, "row 6 is not as it was written"),
        (["DELETE FROM audit WHERE id = 3"], 3, "rows 3 to 3 are missing"),
        (["DELETE FROM audit WHERE id IN (3, 4)"], 3, "rows 3 to 4 are missing"),
        (["DELETE FROM audit WHERE id = 1"], 2, "row 2, or one before it"),
        (
            ["DELETE FROM audit WHERE id = 3", "UPDATE audit SET id = id - 1 WHERE id > 3"],
            3,
            "row 3 is not as it was written",
        ),
        (["DELETE FROM audit WHERE id = 6"], 6, "rows 6 to 6 are missing"),
        (["DELETE FROM audit WHERE id > 4"], 5, "rows 5 to 6 are missing"),
        (["DELETE FROM audit"], 1, "rows 1 to 6 are missing"),
        (
            ["DELETE FROM audit WHERE id > 4", NEWEST_AS_END],
            5,
            "the note of where the chain ends was changed",
        ),
        (
            ["DELETE FROM audit WHERE id > 4", "DELETE FROM meta WHERE name = 'audit_head'"],
            5,
            "where the chain ends is noted nowhere",
        ),
        (
            ["INSERT INTO audit SELECT 7, at, actor, action, subject, detail, hash FROM audit WHERE id = 6"],
            7,
            "row 7 is not as it was written",
        ),
        (
            ["INSERT INTO audit SELECT 7, at, 'eva', action, subject, '', NULL FROM audit WHERE id = 6"],
            7,
            "row 7 is not as it was written",
        ),
        (
            ["INSERT INTO audit SELECT 0, at, 'eva', action, subject, '', NULL FROM audit WHERE id = 6"],
            1,
            "row 1, or one before it",
        ),
        (
            [
                "UPDATE audit SET id = id + 1000 WHERE id > 2",
                "UPDATE audit SET id = id - 999 WHERE id > 1000",
                "INSERT INTO audit SELECT 3, at, 'eva', action, subject, '', hash FROM audit WHERE id = 2",
            ],
            3,
            "row 3 is not as it was written",
        ),
        (
            ["UPDATE audit SET hash = NULL", "UPDATE audit SET actor = 'eva' WHERE id = 3"],
            6,
            "row 6, or one before it",
        ),
    ],
    ids=str,
)
async def test_whoever_changes_the_file_is_found_out_and_stays_so_when_the_trail_goes_on(
    store: Store,
    tmp_path: Path,
    engine: EngineName,
    statements: list[str | Spellings],
    first_bad: int,
    said: str,
) -> None:
    await fill(store)
    ENGINES.tamper(tmp_path, *(each if isinstance(each, str) else each[engine] for each in statements))
    verdict = await store.audit.verify()
    assert (verdict.first_bad, said in verdict.reason) == (first_bad, True), verdict
    await fill(store)  # the proxy works on, and covers nothing up
    later = await store.audit.verify()
    assert later.first_bad is not None
    assert later.first_bad <= max(first_bad, 7)


async def test_a_gap_is_still_told_as_a_gap_when_the_trail_goes_on(store: Store, tmp_path: Path) -> None:
    await fill(store)
    ENGINES.tamper(tmp_path, "DELETE FROM audit WHERE id > 4")
    await fill(store)
    assert (await store.audit.verify()).reason == "rows 5 to 6 are missing"


async def test_rows_of_a_release_before_the_chain_are_covered_by_the_first_one_after_them(
    store: Store, tmp_path: Path
) -> None:
    old = (
        "INSERT INTO audit (id, at, actor, action, subject) VALUES ({0}, {0}, 'proxy', 'first_user', 'u{0}')"
    )
    ENGINES.tamper(tmp_path, *(old.format(number) for number in range(1, 4)))
    before = await store.audit.verify()
    assert (before.rows, before.chained, before.first_bad) == (3, 0, None)
    await fill(store, 2)
    whole = await store.audit.verify()
    assert (whole.rows, whole.chained, whole.first_bad) == (5, 2, None)
    ENGINES.tamper(tmp_path, "DELETE FROM audit WHERE id = 2")
    assert (await store.audit.verify()).first_bad == 4


async def test_a_write_that_fails_takes_its_audit_row_with_it(store: Store) -> None:
    def work(conn: Connection) -> None:
        store.audit.append_in(conn, AuditEvent(NOW, "ana", "mode_set", "*"))
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        await store.database.write(work)
    await fill(store, 1)
    verdict = await store.audit.verify()
    assert (verdict.rows, verdict.first_bad) == (1, None)


async def test_the_newest_rows_come_first_with_their_numbers(store: Store) -> None:
    await fill(store, 3)
    rows = await store.audit.newest(2)
    assert [(number, event.subject) for number, event in rows] == [(3, "subject 3"), (2, "subject 2")]
