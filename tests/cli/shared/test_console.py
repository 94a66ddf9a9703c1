"""Tables: whole at any width of a terminal, and lines with tabs through a pipe."""

from io import StringIO

import pytest
from rich.console import Console

from proxy.cli.shared.console import Grid, columns, print_to

LONG = "a reason that somebody wrote at three in the morning, and that is longer than any terminal is wide"


def printed(grid: Grid, width: int) -> str:
    """Returns the text that a terminal of that width shows."""
    file = StringIO()
    print_to(Console(file=file, width=width, markup=False, emoji=False, highlight=False), grid)
    return file.getvalue()


def changes(reason: str = LONG) -> Grid:
    grid = columns("rev", "at", "route", "mode", "reason", wraps=["reason"])
    grid.add_row("12", "2026-11-25\n22:52:28Z", "speech_to_text", "canary 12.5 %", reason)
    return grid


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_nothing_is_cut_at_any_width_of_a_terminal(width: int) -> None:
    shown = printed(changes(), width)
    assert max(map(len, shown.splitlines())) <= width
    assert "…" not in shown
    for words in ("speech_to_text", "canary 12.5 %", "2026-11-25", *LONG.split()):
        assert words in shown


def test_a_table_that_has_no_room_becomes_a_line_for_each_column() -> None:
    assert printed(changes("short"), 40).split("\n")[0].split() == ["rev", "12"]
    assert printed(changes("short"), 80).split("\n")[0].split() == ["rev", "at", "route", "mode", "reason"]


def test_a_pipe_gets_a_line_a_row_with_tabs_and_nothing_padded_or_folded() -> None:
    assert changes().for_pipe().split("\n") == [
        "rev\tat\troute\tmode\treason",
        f"12\t2026-11-25 22:52:28Z\tspeech_to_text\tcanary 12.5 %\t{LONG}",
    ]
