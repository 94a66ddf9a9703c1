"""Decides which one of the processes sends an alert: the first one that notes it in the store."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, update

from proxy.store.sql.database import Database
from proxy.store.sql.rows import make
from proxy.store.sql.tables import alerts

_FORGOTTEN: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class SentAlerts:
    """The alerts that were sent, by their keys."""

    database: Database

    async def claim(self, key: str, at: datetime, quiet: timedelta) -> bool:
        """Returns whether the caller is to send it: nobody has within `quiet`. Raises StoreError."""

        def work(conn: Connection) -> bool:
            conn.execute(delete(alerts).where(alerts.c.at < at - _FORGOTTEN))
            if make(conn, alerts, {"key": key, "at": at}):
                return True
            # Of two processes, the second waits for the first, and then finds the new time.
            old = update(alerts).where(alerts.c.key == key, alerts.c.at <= at - quiet)
            return conn.execute(old.values(at=at)).rowcount == 1

        return await self.database.write(work)
