"""The table: each figure beside its must, for a terminal and for docs/performance.md."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from rich.console import Console
from rich.table import Table

from tests.bench.processes import Kind
from tests.bench.values import Figure, Load, Sample, Verdict

Samples: TypeAlias = Mapping[Kind, Sequence[Sample]]  # of one load, a sample a round that isn't void
HEADS: Final = ("load", "figure", "must", "this proxy", "plain aiohttp", "×", "verdict")
BEGIN: Final = "<!-- make bench writes from here -->"
END: Final = "<!-- to here -->"


@dataclass(frozen=True, slots=True)
class Row:
    """A figure of a load: the medians of all rounds."""

    load: Load
    figure: Figure
    own: float | None
    floor: float | None

    @property
    def verdict(self) -> Verdict:
        if self.figure.must is not None:
            return self.figure.must.judge(self.own, self.floor)
        return "void" if self.own is None else ""

    def cells(self) -> tuple[str, ...]:
        digits, must = self.figure.digits, self.figure.must
        ratio = f"{self.own / self.floor:.2f}" if self.own is not None and self.floor else "–"
        return (
            self.load.name,
            self.figure.words,
            "" if must is None else str(must),
            *(_number(value, digits) for value in (self.own, self.floor)),
            ratio,
            self.verdict,
        )


def rows(load: Load, samples: Samples) -> Iterator[Row]:
    for figure in load.figures:
        own, floor = (_median(samples.get(kind, ()), figure.key) for kind in ("proxy", "floor"))
        yield Row(load, figure, own, floor)


def _median(samples: Sequence[Sample], key: str) -> float | None:
    found = [sample[key] for sample in samples if key in sample]
    return statistics.median(found) if found else None


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def shown(table: Sequence[Row]) -> None:
    """Prints the table."""
    printed = Table(box=None)
    for head in HEADS:
        printed.add_column(head, no_wrap=True)
    for row in table:
        printed.add_row(*row.cells())
    Console(width=200).print(printed)


def markdown(table: Sequence[Row], made: str) -> str:
    lines = [made, "", f"| {' | '.join(HEADS)} |", "|---|---|---|--:|--:|--:|---|"]
    lines += [f"| {' | '.join(row.cells())} |" for row in table]
    return "\n".join(lines)


def write(path: Path, text: str) -> None:
    """Replaces what stands between the two marks. Raises ValueError where they are missing."""
    whole = path.read_text("utf-8")
    before, begin, rest = whole.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{path} lacks {BEGIN} or {END}")
    path.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", "utf-8")
