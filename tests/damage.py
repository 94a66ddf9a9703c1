"""Changes a store's database behind its proxy's back."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path


async def damage(folder: Path, *statements: str) -> None:
    """Runs the statements on `folder`'s database; not in the proxy's loop, which may be in a write."""

    def change() -> None:
        with closing(sqlite3.connect(folder / "michiq.db")) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    await asyncio.to_thread(change)
