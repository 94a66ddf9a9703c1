"""Sums in SQL how each organization's shadow runs on a route ended."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, func, select

from proxy.store.sql.database import Database
from proxy.store.sql.tables import comparisons


@dataclass(frozen=True, slots=True)
class OrganizationOutcome:
    """A count of an organization's shadow runs that ended so; `organization` is its keyed hash."""

    organization: str
    outcome: str
    count: int


async def organization_counts(
    database: Database, route: str, mappings: Collection[str], since: date
) -> list[OrganizationOutcome]:
    """Returns the counts under these mappings, by their digests, from that day on. Raises StoreError."""
    table = comparisons.c
    key = table.organization, table.outcome
    query = (
        select(*key, func.sum(table.count))
        .where(table.route == route, table.day >= since.isoformat(), table.mapping.in_([*mappings]))
        .group_by(*key)
    )

    def work(conn: Connection) -> list[OrganizationOutcome]:
        return [
            OrganizationOutcome(organization, outcome, int(count))
            for organization, outcome, count in conn.execute(query)
        ]

    return await database.read(work)
