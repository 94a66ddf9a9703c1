"""Changes a store's database behind its proxy's back."""

import asyncio
from pathlib import Path

from tests.stores import ENGINES


async def damage(folder: Path, *statements: str) -> None:
    """Runs the statements on `folder`'s database; not in the proxy's loop, which may be in a write."""
    await asyncio.to_thread(ENGINES.tamper, folder, *statements)
