"""Claims the work that one replica does for all, from time to time."""

from typing import Final

from proxy.store.sql.postgresql.database import PostgresqlDatabase

# One statement, by the database's clock. Of those that wait for the same row, the first one moves it on.
_CLAIM: Final = (
    "INSERT INTO jobs (name, next_at) VALUES ($1, clock_timestamp() + make_interval(secs => $2)) "
    "ON CONFLICT (name) DO UPDATE SET next_at = clock_timestamp() + make_interval(secs => $2) "
    "WHERE jobs.next_at <= clock_timestamp() RETURNING true"
)


class ReplicasJobs:
    """The jobs of all replicas (`backends.Jobs`). One that fails leaves the work to the next time."""

    def __init__(self, database: PostgresqlDatabase) -> None:
        self._database = database

    async def claim(self, name: str, every_seconds: float) -> bool:
        """Returns whether this process does the job now: nobody has within the time. Raises StoreError."""
        return bool(await self._database.call(_CLAIM, name, every_seconds))
