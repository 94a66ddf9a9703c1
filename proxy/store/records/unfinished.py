"""Finds out whether any call is unfinished: mostly none is, and a takeover has nothing to do."""

from typing import Final

from sqlalchemy import or_, select

from proxy.store.sql.database import Database
from proxy.store.sql.point_reads import PointRead
from proxy.store.sql.tables import journal, links

_ANY: Final = PointRead(
    select(
        or_(
            select(journal.c.id).where(journal.c.state == "intent").exists(),
            select(links.c.digest).where(links.c.state == "intent").exists(),
            select(links.c.digest).where(links.c.state == "pending").exists(),
        ).label("found")
    )
)


async def is_any_unfinished(database: Database) -> bool:
    """Returns whether any process has an open intent, or a planned linked case. Raises StoreError."""
    return bool((await database.find(_ANY)).found)
