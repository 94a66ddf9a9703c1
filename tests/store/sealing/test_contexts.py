"""A sealed value opens in its own column and row alone, whatever is done to the tables."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Connection, Row, select, update

from proxy.store import Store, StoreError
from proxy.store.sealing.contexts import NATURAL_KEYS
from proxy.store.sql.tables import SEALED
from proxy.store.upkeep.rotation import Progress
from proxy.values import Identity
from tests.store.examples import NOW, OWNER, add_chunk, entry, opened, session
from tests.store.upkeep.test_rotation import fill
from tests.stores import ENGINES, Copied, EngineName

COLUMNS = [column for columns in SEALED.values() for column in columns]
# How each column is read, where its value is of another row.
DOORS: Mapping[str, Callable[[Store], Awaitable[object]]] = {
    "api_keys.api_key": lambda store: store.sessions.get("token-0"),
    "sessions.who": lambda store: store.sessions.get("token-0"),
    "sessions.access_token": lambda store: store.sessions.get("token-0"),
    "cases.content": lambda store: store.cases.get("case-0"),
    "cases.ehr": lambda store: store.cases.get("case-0"),
    "case_files.about": lambda store: store.cases.get("case-0"),
    "case_files.text": lambda store: store.cases.get("case-0"),
    "journal.answer": lambda store: store.journal.begin(entry("again", idempotency="key-0")),
    "recordings.filename": lambda store: store.recordings.of(OWNER, "case-1"),
    "chunks.blob_key": lambda store: store.recordings.of(OWNER, "case-1"),
    "chunks.short": lambda store: store.recordings.tip(OWNER, "case-1"),
    "transcriptions.text": lambda store: store.transcriptions.of(OWNER, "case-0"),
    "conversations.conversation": lambda store: store.conversations.get("case-0", OWNER),
    "reports.body": lambda store: store.reports.of_cases(["case-0"]),
    "legacy_sessions.token": lambda store: store.homes.legacy_token("0" * 64, NOW),
    "clients.organization": lambda store: store.ledger.calls(),
    "clients.agent": lambda store: store.ledger.calls(),
    "deliveries.headers": lambda store: store.deliveries.claim(NOW, NOW),
    "deliveries.body": lambda store: store.deliveries.claim(NOW, NOW),
}


@pytest.fixture(scope="module")
def filled() -> dict[EngineName, Copied]:
    """Returns a database of each engine with at least two rows in each table that has sealed values."""
    return {}


async def _fill(folder: Path) -> None:
    async with opened(folder) as store:
        await add_chunk(store, b"the first recording")
        await add_chunk(store, b"the second one", opens=True)
        for number in range(2):
            await fill(store, number)
            intent = entry(f"kept-{number}", idempotency=f"key-{number}", answer=f"{number}".encode())
            await store.journal.begin(intent)
        await store.sessions.put("another", session(identity=Identity("key-2", "ana", "Clínica")))


@pytest.fixture
async def folder(
    filled: dict[EngineName, Copied],
    engine: EngineName,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    if engine not in filled:
        first = tmp_path_factory.mktemp("filled")
        await _fill(first)
        filled[engine] = ENGINES.copied(first)
    await ENGINES.put_copy(filled[engine], tmp_path)
    return tmp_path


def sealed(folder: Path, column: Column[Any]) -> list[Row[Any]]:
    """Returns the row of each natural key that has a value, in the order of the keys."""
    rows = select(column.table).where(column.is_not(None)).order_by(*NATURAL_KEYS[column.table])
    return ENGINES.outside(folder, lambda conn: [*conn.execute(rows)])


def put(folder: Path, column: Column[Any], *changes: tuple[Row[Any], bytes]) -> None:
    """Gives rows other values."""

    def work(conn: Connection) -> None:
        for row, value in changes:
            key = [each == row._mapping[each] for each in column.table.primary_key]
            conn.execute(update(column.table).where(*key).values({column: value}))

    ENGINES.outside(folder, work)


def turn(folder: Path, column: Column[Any]) -> int:
    """Gives each row the value of another; returns how many there are."""
    rows = sealed(folder, column)
    values = [row._mapping[column] for row in rows]
    put(folder, column, *zip(rows, [*values[1:], values[0]], strict=True))
    return len(rows)


async def lost(folder: Path) -> int:
    def quiet(_: Progress) -> None:
        """Ignores the progress."""

    async with opened(folder) as store:
        return (await store.rotation.left(quiet)).lost


def test_every_table_with_sealed_values_says_what_its_rows_are_named_by() -> None:
    assert NATURAL_KEYS.keys() == SEALED.keys()


@pytest.mark.parametrize("column", COLUMNS, ids=str)
async def test_values_of_a_column_that_change_their_rows_do_not_open(
    folder: Path, column: Column[Any]
) -> None:
    turned = turn(folder, column)
    assert turned >= 2
    assert await lost(folder) == turned


@pytest.mark.parametrize("column", COLUMNS, ids=str)
async def test_a_value_of_another_column_does_not_open(folder: Path, column: Column[Any]) -> None:
    foreign = COLUMNS[COLUMNS.index(column) - 1]
    own, other = sealed(folder, column)[0], sealed(folder, foreign)[0]
    put(folder, column, (own, other._mapping[foreign]))
    assert await lost(folder) == 1


@pytest.mark.parametrize("column", [each for each in COLUMNS if str(each) in DOORS], ids=str)
async def test_who_reads_a_value_of_another_row_is_told_so(folder: Path, column: Column[Any]) -> None:
    async with opened(folder) as store:
        await DOORS[str(column)](store)
    turn(folder, column)
    async with opened(folder) as store:
        with pytest.raises(StoreError, match="moved from another row"):
            await DOORS[str(column)](store)


async def test_an_override_whose_organization_was_moved_is_in_force_without_its_name(folder: Path) -> None:
    (column,) = [each for each in COLUMNS if str(each) not in DOORS]
    turn(folder, column)
    async with opened(folder) as store:
        assert {each.organization for each in await store.overrides.history()} == {None}
