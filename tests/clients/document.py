"""The tables of docs/clients.md: made from a run, and compared with what stands there."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.clients.habits import HEADINGS, Habits
from tests.clients.session import STEPS

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "clients.md"
CHECKS: Final = (*STEPS, "files", "organization")


def steps_table(passed: Mapping[str, Mapping[str, str]]) -> str:
    """Client × check; `passed` has for each client how it passed, by check."""
    rows = [[title, *(how.get(check, "**no**") for check in CHECKS)] for title, how in passed.items()]
    return _table(("client", *CHECKS), rows)


def wire_table(seen: Mapping[str, Habits]) -> str:
    return _table(("client", *HEADINGS), [[title, *habits.cells()] for title, habits in seen.items()])


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def block(text: str, name: str) -> str:
    """Returns the text between the markers of that name."""
    return _split(text, name)[1]


def with_block(text: str, name: str, content: str) -> str:
    before, _, after = _split(text, name)
    return before + content + after


def _split(text: str, name: str) -> tuple[str, str, str]:
    match = re.search(rf"(<!-- {name}: [^\n]* -->\n)(.*?)(<!-- /{name} -->)", text, re.DOTALL)
    if not match:
        raise ValueError(f"docs/clients.md lacks the markers of {name}")
    return text[: match.end(1)], match[2], text[match.start(3) :]


def differences(text: str, name: str, made: str) -> list[str]:
    """Rows of `made` that don't stand in the document; a client that did not run has none."""
    standing = block(text, name).splitlines()
    return [f"docs/clients.md, {name}: not there: {row}" for row in made.splitlines() if row not in standing]
