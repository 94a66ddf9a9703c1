"""Stores the contract's runs against a host, one row for each route; `can-switch` asks for them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select

from proxy.store.sql.database import Database
from proxy.store.sql.rows import rows_of
from proxy.store.sql.tables import contract_runs


@dataclass(frozen=True, slots=True)
class ContractRun:
    """One route's part of a run: how many contract rows the host passed, failed, or couldn't be asked for."""

    at: datetime
    target: str
    route: str
    passed: int
    failed: int
    not_applicable: int


@dataclass(frozen=True, slots=True)
class ContractRuns:
    """The runs. Each stays until it is old; the newest one counts."""

    database: Database

    async def add(self, runs: Sequence[ContractRun]) -> None:
        """Adds all routes of one run in one write."""

        def work(conn: Connection) -> None:
            if runs:
                conn.execute(insert(contract_runs), [asdict(run) for run in runs])

        await self.database.write(work)

    async def newest(self) -> list[ContractRun]:
        """Returns the last run of each route against each target, the newest first."""
        table = contract_runs.c
        last = select(func.max(table.id)).group_by(table.target, table.route)
        query = select(contract_runs).where(table.id.in_(last)).order_by(table.at.desc(), table.id.desc())
        return [_run(row) for row in await self.database.read(rows_of(query))]


def delete_runs_before(conn: Connection, before: datetime) -> None:
    conn.execute(delete(contract_runs).where(contract_runs.c.at < before))


def _run(row: Row[Any]) -> ContractRun:
    return ContractRun(row.at, row.target, row.route, row.passed, row.failed, row.not_applicable)
