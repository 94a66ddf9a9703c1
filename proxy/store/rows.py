"""Two statements that several tables need."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Table, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

_BATCH: Final = 500  # far under the number of parameters that a statement may have


async def upsert(
    conn: AsyncConnection, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]
) -> None:
    """Sets the columns `values` of the row under `key`, which is made if need be."""
    where = [table.c[name] == value for name, value in key.items()]
    changed = await conn.execute(update(table).where(*where).values(**values))
    if not changed.rowcount:
        await conn.execute(insert(table).values(**key, **values))


def batches(items: Sequence[str]) -> Iterator[Sequence[str]]:
    """The items in runs short enough for one IN (…)."""
    return (items[start : start + _BATCH] for start in range(0, len(items), _BATCH))
