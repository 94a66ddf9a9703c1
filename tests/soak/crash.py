"""kill -9 at each named point, 20 times: two proxies at once, each on a state of its own. Takes 6 minutes."""

import asyncio
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.crash.client import Client
from tests.crash.judge import Faults
from tests.crash.points import MIGRATION, points
from tests.crash.rounds import Siege
from tests.crash.site import another, sited
from tests.crash.upgrade import killed_within, statements
from tests.soak.rows import Row
from tests.stores import ENGINES

SEED = 9
_TIMES = 20
_PLAIN_EVERY = 10
_READY_SECONDS = 5.0


@dataclass
class _Seen:
    faults: Faults = field(default_factory=Faults)
    kills: int = 0
    promises: int = 0
    ambiguous: int = 0
    ready: list[float] = field(default_factory=list)


async def run(scale: float) -> list[Row]:
    times = max(1, round(_TIMES * scale))
    every = points(replicated=ENGINES.server is not None)
    named = [point for point in every if point != MIGRATION]
    seen = _Seen()
    await asyncio.gather(_besieged(named[0::2], times, seen), _besieged(named[1::2], times, seen))
    if MIGRATION in every:
        await _upgraded(times, seen)
    slowest, middle = max(seen.ready), statistics.median(seen.ready)
    faults = seen.faults
    return [
        _row(
            f"{len(every)} points x {times} kills: nothing promised is lost",
            f"{seen.kills} kills, {seen.promises} promises, {len(faults.lost)} lost",
            met=not faults.lost and seen.kills == len(every) * times,
        ),
        _row("no half records", _told(faults.halves), met=not faults.halves),
        _row("nothing done twice", _told(faults.doubles), met=not faults.doubles),
        _row(
            "ambiguous calls are shown, promised work goes on",
            f"{seen.ambiguous} shown, {len(faults.unseen)} not, or work left",
            met=not faults.unseen,
        ),
        _row(
            f"ready again <= {_READY_SECONDS:g} s",
            f"at most {slowest:.1f} s, median {middle:.1f} s, of {len(seen.ready)} starts",
            met=slowest <= _READY_SECONDS,
        ),
    ]


async def _besieged(points: Sequence[str], times: int, seen: _Seen) -> None:
    with tempfile.TemporaryDirectory(prefix="michiq-soak-") as folder:
        async with sited(Path(folder)) as site:
            siege = Siege(site, Client(site), seen.faults)
            await siege.start()
            for number in range(times):
                for point in points:
                    await siege.round(point, number, plain=number % _PLAIN_EVERY == _PLAIN_EVERY - 1)
            await siege.end()
    client = siege.client
    seen.kills += len(siege.kills)
    seen.ambiguous += sum(attempt.unknown for attempt in client.attempts)
    seen.promises += sum(attempt.answer is not None for attempt in client.attempts)
    seen.promises += sum(map(len, client.chunks.values())) + len(client.modes)
    seen.ready += site.ready


async def _upgraded(times: int, seen: _Seen) -> None:
    """Killed after statements that are spread over the whole of the migration."""
    random = Random(SEED)
    with tempfile.TemporaryDirectory(prefix="michiq-soak-") as name:
        folder = Path(name)
        async with sited(folder) as first:
            count = await asyncio.to_thread(statements, folder, first.key)
            for number in range(times):
                site = another(first, folder / str(number))
                seen.faults.halves += await killed_within(site, random.randrange(1, count + 1))
                seen.kills += 1
                seen.ready += site.ready


def _told(faults: Sequence[str]) -> str:
    return f"{len(faults)}: {faults[0]}" if faults else "0"


def _row(goal: str, figure: str, *, met: bool) -> Row:
    return Row("crash", goal, figure, met)
