#!/usr/bin/env python3
"""Makes up the counts of the last 24 hours in the demo's store: pictures need more than traffic.py's minute.

Usage, in the folder where the demo was started: .venv/bin/python examples/yesterday.py

traffic.py runs it. It writes the series alone, the counts behind the pictures: no request, client or change.
A picture then shows a day like this one: the old server answers all; since the morning some routes are in
shadow, and the new side answers a quarter of newCase. It is all invented, for the demo's own store alone.
"""

import asyncio
import random
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from proxy.settings import load_settings
from proxy.store import open_store
from proxy.store.options import store_options
from proxy.store.rollout.series import MINUTE, SeriesCounts, SeriesKey, Span, add_series

ENVIRONMENT: Final = Path("var/demo.env")
_MINUTES: Final = 24 * 60
_INCIDENT: Final = range(9 * 60, 9 * 60 + 25)  # minutes ago, in which the old server often failed
# Calls in ten seconds, for each hour of the day: a rush in the morning, a smaller one after lunch.
_BUSY: Final = (1, 1, 1, 1, 1, 2, 4, 9, 16, 20, 22, 20, 16, 12, 10, 13, 15, 14, 10, 7, 5, 3, 2, 1)


@dataclass(frozen=True)
class Habit:
    """A route's day: its share of the calls, and since how many hours it is in shadow, a canary, or new."""

    share: float
    seconds: float
    shadow: float = 0
    canary: float = 0
    new: float = 0

    def answers(self, hours_ago: float) -> Iterator[tuple[str, str, float]]:
        """Yields the mode and the side of answers then, with their parts of all."""
        if hours_ago < self.new:
            yield "new", "new", 1.0
        elif hours_ago < self.canary:
            yield "canary", "new", 0.25
            yield "canary", "legacy", 0.75
        else:
            yield "shadow" if hours_ago < self.shadow else "legacy", "legacy", 1.0


HABITS: Final = {
    "new_case": Habit(0.30, 0.12, shadow=15, canary=5),
    "doc": Habit(0.30, 0.03, shadow=11),
    "encounters": Habit(0.15, 0.05, shadow=11),
    "query": Habit(0.12, 0.8, shadow=13, new=6),
    "upload_audio": Habit(0.05, 0.06),
    "speech_to_text": Habit(0.05, 2.4),
    "encounter_page": Habit(0.03, 0.04),
}


def counts(end: datetime, chance: random.Random) -> dict[SeriesKey, SeriesCounts]:
    """Returns the made-up counts of the 24 hours before `end`."""
    last, made = int(end.timestamp()) // MINUTE, {}
    for ago in range(1, _MINUTES):
        busy = _calls_a_minute(end - timedelta(minutes=ago))
        for route, habit in HABITS.items():
            for mode, side, part in habit.answers(ago / 60):
                expected = busy * habit.share * part
                number = int(expected) + (chance.random() < expected % 1)
                if number:
                    key = SeriesKey(route, mode, side, last - ago)
                    made[key] = _counted(number, habit, mode, side, chance, failing=ago in _INCIDENT)
    return made


def _calls_a_minute(at: datetime) -> float:
    """Returns the calls of all routes, from hour to hour without a step."""
    part = at.minute / 60
    return 6 * (_BUSY[at.hour] * (1 - part) + _BUSY[(at.hour + 1) % 24] * part)


def _counted(
    number: int, habit: Habit, mode: str, side: str, chance: random.Random, *, failing: bool
) -> SeriesCounts:
    made = SeriesCounts()
    slower = 1.3 if side == "new" else 1.0
    errors = 0.25 if failing and side == "legacy" else 0.004
    for _ in range(number):
        made.answered(habit.seconds * slower * chance.lognormvariate(0, 0.5), error=chance.random() < errors)
        if side == "legacy" and mode in ("shadow", "canary") and not failing:
            made.noted(differing=chance.random() < 0.008)
    return made


async def main() -> None:
    if not ENVIRONMENT.exists():
        sys.exit(f"There is no {ENVIRONMENT} here: this is for the store of `make run` alone.")
    lines = [line for line in ENVIRONMENT.read_text("utf-8").splitlines() if not line.startswith("#")]
    environment = {name: shlex.split(value)[0] for name, _, value in (line.partition("=") for line in lines)}
    settings = load_settings({k: v for k, v in environment.items() if k.startswith("MICHIQ_")}, None)
    keys = [key.get_secret_value() for key in settings.secret_keys]
    now = datetime.now(UTC)
    made = counts(now, random.Random(1))
    a_day_ago = Span(now - timedelta(hours=23), now - timedelta(hours=22), MINUTE, MINUTE)
    async with open_store(store_options(settings, environment), keys) as store:
        if await store.series.points([*HABITS], a_day_ago):
            print("The pictures of the last 24 hours were made up before.")
            return
        await store.backend.database.write(lambda conn: add_series(conn, made))
    answers = sum(each.count for each in made.values())
    print(f"The pictures of the last 24 hours are made up: {answers:,} answers that nobody got.")


if __name__ == "__main__":
    asyncio.run(main())
