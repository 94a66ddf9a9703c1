"""`make soak`: runs every part, or those that are named, and prints one table: goal, figure, verdict."""

import argparse
import asyncio
import os
import sys
import time
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from proxy.observe.logs import setup
from tests.captured import restored_logging
from tests.conftest import STORES
from tests.soak.rows import Part, Row
from tests.stores import replicated

PARTS: Final = (
    "modes",
    "homes",
    "shadow",
    "apart",
    "webhooks",
    "once",
    "upstreams",
    "idle",
    "restart",
    "crash",
    "at_rest",
    "hostile",
    "slow",
    "replicas",
)
# The parts whose proxies may have their stores in PostgreSQL and S3.
_ON_BOTH: Final = ("modes", "homes", "shadow", "apart", "webhooks", "once", "crash")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all")
    parser.add_argument("--scale", type=float, default=1.0, help="1 is the full size")
    parser.add_argument("--markdown", action="store_true", help="print the table for docs/reliability.md")
    parser.add_argument("--store", choices=STORES, default=STORES[0], help="of the parts that can have both")
    given = parser.parse_args()
    parts = given.parts or [name for name in PARTS if given.store == STORES[0] or name in _ON_BOTH]
    if given.store != STORES[0] and (other := {*parts} - {*_ON_BOTH}):
        parser.error(f"--store {given.store} is not for {', '.join(sorted(other))}")
    # Only what starts the servers: a store here has none.
    with replicated() if given.store != STORES[0] else nullcontext():
        rows = [row for name in parts for row in _run(name, given.scale)]
    (_markdown if given.markdown else _print)(rows)
    return 0 if all(row.met for row in rows) else 1


def _run(name: str, scale: float) -> list[Row]:
    part: Part = import_module(f"tests.soak.{name}").run
    started = time.monotonic()
    # Proxies in this process log as they would elsewhere, but not between the rows.
    with restored_logging(), Path(os.devnull).open("w") as nowhere:
        setup(nowhere, pretty=False)
        rows = asyncio.run(part(scale))
    print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr)  # noqa: T201
    return rows


def _print(rows: list[Row]) -> None:
    table = Table("part", "goal", "figure", "verdict", box=None)
    for row in rows:
        table.add_row(row.part, row.goal, row.figure, "met" if row.met else "NOT MET")
    Console().print(table)


def _markdown(rows: list[Row]) -> None:
    print("| part | goal | figure | verdict |\n|---|---|---|---|")  # noqa: T201
    for row in rows:
        print(f"| {row.part} | {row.goal} | {row.figure} | {'met' if row.met else '**not met**'} |")  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
