"""Nothing in clear on the disk, keys that change under load, data that is erased. Takes 2 minutes."""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, func, select

from proxy.store.sql.tables import metadata
from tests.crash.client import Client
from tests.crash.judge import blobs
from tests.crash.keeping import Done, erase_case, erase_user, rotate
from tests.crash.resting import WORDS, Found, config, search, session
from tests.crash.site import Site, sited
from tests.soak.rows import Row

_CASES, _KILLS, _SESSIONS = 2000, 5, 10
_ERASED_SECONDS = 60.0
# What retention leaves: who did what, and counts without a name.
_STAYS = {"audit", "meta", "overrides", "processes", "clients", "ledger", "requests", "comparisons"}
_STAYS |= {"differences", "learned", "contract_runs", "shadow_budget", "changes"}


async def run(scale: float) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="michiq-soak-") as name:
        rows = await _in_clear(Path(name), scale)
    with tempfile.TemporaryDirectory(prefix="michiq-soak-") as name:
        return [*rows, *await _kept(Path(name), scale)]


async def _in_clear(folder: Path, scale: float) -> list[Row]:
    found, times = Found(), max(1, round(_SESSIONS * scale))
    async with sited(folder, config()) as site:
        assert await site.start(plain=True)
        for _ in range(times):
            await session(site, found)
        site.kill()
        await site.gone()
        search(site, found)
    figure = f"{len(found.hits)} in {found.files} files, {found.bytes / 1e6:.0f} MB"
    goal = f"{len(WORDS)} canaries, {times} sessions: 0 in database, log, temporary files, blobs"
    return [
        _row(goal, figure, met=not found.hits),
        _row("temporary files were there to be searched", f"{found.temporary}", met=found.temporary > 0),
    ]


async def _kept(folder: Path, scale: float) -> list[Row]:
    count, kills = max(20, round(_CASES * scale)), max(1, round(_KILLS * scale))
    async with sited(folder) as site:
        client = Client(site)
        assert await site.start(plain=True)
        of_case = await erase_case(site, client)
        of_user = await erase_user(site, client, count)
        rotated = await rotate(site, client, count, kills)
        left = await _left_after_retention(site)
    return [
        _erased("--case", of_case),
        _erased(f"--user with {count} cases", of_user),
        _row(
            f"rotate-keys over {count} cases, killed {kills} times: goes on, 0 values under the old key",
            f"{rotated.kills} kills, {rotated.seconds:.1f} s, {len(rotated.hits)} of {rotated.searched} "
            f"left, {len(rotated.failed)} calls failed",
            met=rotated.code == 0
            and rotated.kills > 0
            and rotated.searched > 0
            and not rotated.hits
            and not rotated.failed,
        ),
        _row("retention: nothing of a patient after its days", left or "0 rows, 0 blobs", met=not left),
    ]


def _erased(what: str, done: Done) -> Row:
    return _row(
        f"erase {what}: 0 hits within {_ERASED_SECONDS:.0f} s, WAL and blobs included",
        f"{len(done.hits)} of {done.searched} traces after {done.seconds:.1f} s, "
        f"{len(done.failed)} calls failed",
        met=done.code == 0 and not done.hits and not done.failed and done.seconds <= _ERASED_SECONDS,
    )


async def _left_after_retention(site: Site) -> str:
    """Returns a sentence on what a sweep in 91 days leaves; empty if all is well."""

    def count(conn: Connection) -> dict[str, int]:
        tables = [table for table in metadata.sorted_tables if table.name not in _STAYS]
        return {
            table.name: conn.execute(select(func.count()).select_from(table)).scalar_one() for table in tables
        }

    async with site.store() as store:
        await store.retention.sweep(datetime.now(UTC) + timedelta(days=91), content_days=90, audio_days=30)
        rows = await store.database.read(count)
    left = {name: number for name, number in rows.items() if number} | (
        {"blobs": len(blobs(site))} if blobs(site) else {}
    )
    return ", ".join(f"{number} {name}" for name, number in left.items())


def _row(goal: str, figure: str, *, met: bool) -> Row:
    return Row("at rest", goal, figure, met)
