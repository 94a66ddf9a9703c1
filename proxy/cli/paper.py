"""What a command prints for a person: sentences and tables, at most 100 columns wide."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from rich.console import Console
from rich.table import Table

_WIDTH: Final = 100


def show(*parts: str | Table) -> None:
    """As they are: names and reasons are no markup. A narrower terminal is kept to, a pipe has no width."""
    console = Console(markup=False, emoji=False, highlight=False)
    console.width = min(console.width, _WIDTH) if console.is_terminal else _WIDTH
    for part in parts:
        console.print(part)


def columns(*heads: str) -> Table:
    """An empty table."""
    return Table(*heads, box=None)


def steps(lines: Iterable[tuple[str, str]]) -> Table:
    """Each line has a word at its left; a long one goes on below itself."""
    table = Table(box=None, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for word, said in lines:
        table.add_row(word, said)
    return table


def moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"


def plural(count: int, what: str) -> str:
    """`1 call`, `1,240 calls`."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
