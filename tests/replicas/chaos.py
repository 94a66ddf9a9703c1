"""Faults in a seeded order: each begins, lasts and is over; then the replicas are waited for."""

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

import asyncpg

from tests.conftest import ROOT
from tests.replicas.links import Way
from tests.replicas.pair import Pair
from tests.replicas.site import Replica, Site
from tests.replicas.storage import Storage

_LEASE_SECONDS: Final = 10.0
_CUT_SECONDS: Final = 12.0
_FULL_SECONDS: Final = 20.0
_CALM_SECONDS: Final = 3.0
_MORE: Final = '''"""Adds a column that nothing uses: a step that only adds."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "9001", "{before}"


def upgrade() -> None:
    op.add_column("cases", sa.Column("later", sa.String, nullable=True))
    op.add_column("journal", sa.Column("later", sa.String, nullable=True))
'''


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that is over: its name, its seconds, and those from its cure until all replicas were ready."""

    name: str
    lasted: float
    ready_after: float


@dataclass
class Chaos:
    """The faults of one run. `calm_since` is None while one of them is in the way."""

    site: Site
    pair: Pair
    storage: Storage
    random: Random
    faults: list[Fault] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    failovers: list[float] = field(default_factory=list)
    calm_since: float | None = None

    def calm(self) -> float | None:
        return self.calm_since

    async def run(self, seconds: float, names: list[str]) -> None:
        """Makes each fault that is named, then all in a mixed order, again and again until the end."""
        began = time.monotonic()
        for name in self._order(names):
            self.calm_since = time.monotonic()
            await asyncio.sleep(self.random.uniform(1, 2) * _CALM_SECONDS)
            if time.monotonic() - began > seconds:
                return
            await self.one(name)

    async def one(self, name: str) -> None:
        """Makes one fault, cures it, and waits until all replicas are ready again."""
        self.calm_since = None
        began = cured = time.monotonic()
        try:
            await FAULTS[name](self)
            cured = time.monotonic()
            await self.site.until_all_ready()
        except (AssertionError, TimeoutError, OSError, asyncpg.PostgresError) as error:
            self.failed.append(f"{name}: {type(error).__name__} {error}"[:400])
        self.faults.append(Fault(name, cured - began, time.monotonic() - cured))

    def any_replica(self) -> Replica:
        return self.random.choice(self.site.replicas)

    def _order(self, names: list[str]) -> Iterator[str]:
        yield from names
        while True:
            again = [name for name in names if name != "schema"]
            self.random.shuffle(again)
            yield from again


async def _kill(chaos: Chaos, one: Replica | None = None) -> None:
    one = one or chaos.any_replica()
    await chaos.site.kill(one)
    await asyncio.sleep(chaos.random.uniform(0, 3))
    await chaos.site.start(one)


async def _stop(chaos: Chaos) -> None:
    """Stops a replica for longer than its lease, then lets it go on."""
    one = chaos.any_replica()
    chaos.site.stop(one)
    await asyncio.sleep(_LEASE_SECONDS + chaos.random.uniform(1, 5))
    chaos.site.go_on(one)


async def _terminate(chaos: Chaos) -> None:
    for _ in range(3):
        await chaos.pair.end_sessions()
        await asyncio.sleep(chaos.random.uniform(0, 0.5))


async def _failover(chaos: Chaos, beside: Replica | None = None) -> None:
    """The primary dies and the standby takes its place; that is the cure. Later it gets a new standby."""
    pair = chaos.pair
    dead = pair.primary
    died = time.monotonic()
    pair.kill(dead)
    await asyncio.sleep(1)
    await pair.promote()
    others = [each for each in chaos.site.replicas if each is not beside]
    await asyncio.gather(*map(chaos.site.until_ready, others))
    chaos.failovers.append(time.monotonic() - died)
    await pair.make_standby()


async def _restart_database(chaos: Chaos) -> None:
    await chaos.pair.restart()


async def _restart_standby(chaos: Chaos) -> None:
    """Kills the standby and starts it again: until it has caught up, no commit is acknowledged."""
    standby = 1 - chaos.pair.primary
    chaos.pair.kill(standby)
    await asyncio.sleep(chaos.random.uniform(1, 4))
    await chaos.pair.begin(standby)


async def _failover_and_kill(chaos: Chaos) -> None:
    one = chaos.any_replica()
    await asyncio.gather(_failover(chaos, beside=one), _kill(chaos, one))


async def _stop_and_end_sessions(chaos: Chaos) -> None:
    """Ends all sessions of the database while a replica is stopped for longer than its lease."""
    await asyncio.gather(_stop(chaos), _terminate(chaos))


async def _restart_storage(chaos: Chaos) -> None:
    await chaos.storage.kill()
    await asyncio.sleep(chaos.random.uniform(1, 4))
    await chaos.storage.start()


async def _full_disk(chaos: Chaos) -> None:
    with chaos.pair.full_disk():
        await asyncio.sleep(_FULL_SECONDS)


def _cut(way: Way, of: str) -> Callable[[Chaos], Awaitable[None]]:
    async def cut(chaos: Chaos) -> None:
        one = chaos.any_replica()
        assert one.link is not None
        ports = (*chaos.pair.ports,) if of == "database" else (chaos.storage.port,)
        for port in ports:
            await one.link.cut(port, way)
        await asyncio.sleep(_CUT_SECONDS + chaos.random.uniform(0, 4))
        await one.link.join()

    return cut


async def _cut_off(chaos: Chaos) -> None:
    """Nothing reaches a replica any more, while it reaches everything."""
    one = chaos.any_replica()
    assert one.link is not None
    await one.link.cut_off(one.ports[0])
    await asyncio.sleep(_CUT_SECONDS)
    await one.link.join()


async def _roll(chaos: Chaos) -> None:
    """Ends the replicas in order, one after another, each after the one before is ready again."""
    for one in chaos.site.replicas:
        assert await chaos.site.end(one) == 0, f"replica {one.number} did not end in order"
        await chaos.site.start(one)
        await chaos.site.until_ready(one)


async def _schema(chaos: Chaos) -> None:
    """Rolls out a release whose schema has one step more: first the step, under load, then the replicas."""
    code = chaos.site.folder / "newer"
    await asyncio.to_thread(newer_release, code)
    status, said = await chaos.site.command("migrate", code=code)
    assert status == 0, said
    # The replicas of the old release go on, and one of them starts again by accident.
    await _kill(chaos)
    await chaos.site.until_all_ready()
    chaos.site.code = code
    await _roll(chaos)


def newer_release(folder: Path) -> None:
    """Copies the package, with one more step of the schema."""
    shutil.copytree(ROOT / "proxy", folder / "proxy", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "mappings", folder / "mappings")
    versions = folder / "proxy" / "store" / "sql" / "migrations" / "versions"
    before = max(path.name.partition("_")[0] for path in versions.glob("[0-9]*_*.py"))
    (versions / "9001_later.py").write_text(_MORE.replace("{before}", before))


FAULTS: Final[Mapping[str, Callable[[Chaos], Awaitable[None]]]] = {
    "failover": _failover,
    "kill": _kill,
    "terminate": _terminate,
    "stop": _stop,
    "cut from database": _cut("from", "database"),
    "schema": _schema,
    "cut to database": _cut("to", "database"),
    "restart S3": _restart_storage,
    "restart PostgreSQL": _restart_database,
    "full disk": _full_disk,
    "cut database": _cut("both", "database"),
    "rolling restart": _roll,
    "cut S3": _cut("both", "S3"),
    "cut off": _cut_off,
    "restart standby": _restart_standby,
    "failover and kill": _failover_and_kill,
    "stop and terminate": _stop_and_end_sessions,
}
# Those that need a network and a disk of our own.
OF_ROOT: Final = frozenset(name for name in FAULTS if name.startswith("cut") or name == "full disk")
