"""Prints sentences and tables for a person; a pipe gets lines with tabs, whole."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Final

import click
from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table

_WIDTH: Final = 100
_LEAST: Final = 12  # of a column that wraps


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of texts; without heads it is prose, with a word at the left of each sentence.

    The columns named in `wraps` go on below themselves when the terminal is narrow. A head of several lines
    is of as many values, which stand below each other: for a pipe, and in a block, each is on its own.
    """

    heads: tuple[str, ...]
    wraps: frozenset[str] = frozenset()
    shows_heads: bool = True
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def add_row(self, *cells: str) -> None:
        self.rows.append(cells)

    def for_pipe(self) -> str:
        """Returns a line for each row, as `gh` does for programs: tabs between, nothing padded or cut."""
        lines = [self.heads, *self.rows]
        return "\n".join("\t".join(_values(self.heads, line)) for line in lines)

    def fits(self, width: int) -> bool:
        """Returns whether the table fits, with its wrapping columns at their least width."""
        return sum(self._widths()) + len(self.heads) <= width

    def _widths(self) -> list[int]:
        natural = [
            max(
                (cell_len(line) for row in [self.heads, *self.rows] for line in row[at].split("\n")),
                default=0,
            )
            for at in range(len(self.heads))
        ]
        named = zip(self.heads, natural, strict=True)
        return [min(_LEAST, each) if head in self.wraps else each for head, each in named]


def show(*parts: str | Grid) -> None:
    """Prints the parts in at most 100 columns; names and reasons are never read as markup."""
    console = Console(markup=False, emoji=False, highlight=False)
    is_terminal = console.is_terminal
    console.width = min(console.width, _WIDTH) if is_terminal else _WIDTH
    for part in parts:
        if isinstance(part, Grid) and part.shows_heads and not is_terminal:
            click.echo(part.for_pipe())
        else:
            print_to(console, part)


def print_to(console: Console, *parts: str | Grid) -> None:
    """Prints for a terminal: each row of a table that is too wide becomes a block of lines."""
    for part in parts:
        if isinstance(part, str):
            console.print(part)
        elif part.fits(console.width):
            console.print(_table(part))
        else:
            for row in part.rows:
                console.print(_table(_block(part.heads, row)), "")


def columns(*heads: str, wraps: Iterable[str] = ()) -> Grid:
    """Returns an empty table."""
    return Grid(heads, frozenset(wraps))


def steps(lines: Iterable[tuple[str, str]]) -> Grid:
    """Returns prose: each line has a word at its left, and a long line goes on below itself."""
    return Grid(("", "said"), frozenset({"said"}), shows_heads=False, rows=[*lines])


def moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"


def plural(count: int, what: str) -> str:
    """Returns a count with its noun: `1 call`, `1,240 calls`."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _block(heads: Sequence[str], row: Sequence[str]) -> Grid:
    """Returns one row as prose, a line for each column; empty cells are left out."""
    named = zip(_values(heads, heads), _values(heads, row), strict=True)
    return steps((head, value) for head, value in named if value)


def _values(heads: Sequence[str], row: Sequence[str]) -> list[str]:
    """Returns each value of a row on one line, as many of a cell as its head has lines."""
    found: list[str] = []
    for head, cell in zip_longest(heads, row, fillvalue=""):
        count = head.count("\n") + 1
        values = cell.split("\n", count - 1)
        found += [" ".join(value.split()) for value in values] + [""] * (count - len(values))
    return found


def _table(grid: Grid) -> Table:
    own = [Column(head, no_wrap=head not in grid.wraps, overflow="fold") for head in grid.heads]
    padding = (0, 1, 0, 0) if grid.shows_heads else (0, 1)
    table = Table(*own, box=None, show_header=grid.shows_heads, padding=padding)
    for row in grid.rows:
        table.add_row(*row)
    return table
