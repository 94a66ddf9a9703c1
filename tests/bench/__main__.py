"""`make bench`: measures the proxy beside a plain aiohttp floor and prints each figure beside its must."""

import argparse
import os
import platform
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.bench import table
from tests.bench.checks import wrongs
from tests.bench.loads import LOADS
from tests.bench.machine import LOAD_CORE, PEER_CORE
from tests.bench.processes import Kind
from tests.bench.profiling import profiled
from tests.bench.stage import Stage
from tests.bench.values import BOTH, Load, Sample, Void

PACKAGES: Final = {"wrk": "wrk"}  # program: the Debian package that has it
WRONG_ANSWERS: Final = 2


def main(arguments: list[str] | None = None) -> int:
    """Returns 0, or 1 where a figure is missed or void, or 2 where an answer is wrong."""
    given = _parser().parse_args(arguments)
    loads = [LOADS[name] for name in given.loads or LOADS]
    if missing := _missing(loads):
        _say(f"missing: apt-get install {' '.join(missing)}")
        return WRONG_ANSWERS
    if PEER_CORE == LOAD_CORE:
        _say("there is one core only: load and peer take it from each other, and no figure means much")
    sizes = given.secs, given.cases, given.scale
    with Stage(*sizes, postgresql=given.postgresql, watchers=given.watchers) as stage:
        if not _right(stage):
            return WRONG_ANSWERS
        found = [row for load in loads for row in _measured(stage, load, given.rounds, given.profile)]
    table.shown(found)
    if given.write:
        table.write(given.write, table.markdown(found, _made(given)))
    return 0 if all(row.verdict in ("met", "") for row in found) else 1


def _missing(loads: Sequence[Load]) -> list[str]:
    """Returns the Debian packages that the loads need and this machine lacks."""
    programs = dict.fromkeys(program for load in loads for program in load.needs)
    return [PACKAGES[program] for program in programs if shutil.which(program) is None]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "loads", nargs="*", choices=[*LOADS, []], metavar="LOAD", help=f"of {', '.join(LOADS)}"
    )
    parser.add_argument("--secs", type=float, default=4, help="seconds of a load, a peer and a round")
    parser.add_argument("--rounds", type=int, default=3, help="peers take turns; medians are printed")
    parser.add_argument("--cases", type=int, default=100_000, help="very many, in `cases` and `views`")
    parser.add_argument("--scale", type=float, default=1, help="1 is the full size; less proves only answers")
    parser.add_argument(
        "--postgresql", action="store_true", help="the proxy's database is PostgreSQL, on the load's core"
    )
    parser.add_argument(
        "--watchers", type=int, default=0, help="clients of the event stream meanwhile, on the load's core"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="replace the table in docs/performance.md")
    parser.add_argument("--profile", action="store_true", help="profile the proxy by py-spy meanwhile")
    return parser


def _right(stage: Stage) -> bool:
    """Tells whether both peers answer as they must; prints what is wrong."""
    found = [f"{kind}: {wrong}" for kind in BOTH for wrong in wrongs(stage, stage.peer(kind))]
    for each in found:
        _say(each)
    return not found


def _measured(stage: Stage, load: Load, rounds: int, profile: bool) -> Iterator[table.Row]:
    samples: dict[Kind, list[Sample]] = {kind: [] for kind in load.kinds}
    for number in range(1 if load.once else rounds):
        for kind in load.kinds:
            _say(f"{load.name}: {load.title}; round {number + 1}, {kind}")
            wrapped = profile and kind == "proxy" and number == 0
            with profiled(stage, stage.peer(kind), load.name) if wrapped else nullcontext():
                samples[kind] += _sample(stage, load, kind)
    yield from table.rows(load, samples)


def _sample(stage: Stage, load: Load, kind: Kind) -> list[Sample]:
    """A round that is void is told of, and has no figures."""
    try:
        return [load.run(stage, kind)]
    except (Void, OSError) as why:
        _say(f"{load.name} of {kind} is void: {why}")
        return []


def _made(given: argparse.Namespace) -> str:
    when = f"{datetime.now(UTC):%d %B %Y}".lstrip("0")
    sizes = f"--secs {given.secs:g} --rounds {given.rounds} --cases {given.cases}"
    where = f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"
    return f"Made on {when} with `{sizes}`: {where}."


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what it started ends with it
    sys.exit(main())
