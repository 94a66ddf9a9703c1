"""Errors of a folder of mapping files, in words that tell an operator how to fix them."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True)
class Complaint:
    """One error in a file: the file's name, the line, the dotted key and the reason."""

    file: str
    line: int
    key: str
    reason: str

    def __str__(self) -> str:
        position = f"{self.file}:{self.line}"
        return f"{position}: {self.key}: {self.reason}" if self.key else f"{position}: {self.reason}"


class MappingError(Exception):
    """A folder that can't be used, with every complaint about it, by file and line."""

    def __init__(self, complaints: Iterable[Complaint]) -> None:
        self.complaints = tuple(sorted(complaints, key=lambda each: (each.file, each.line)))
        super().__init__("\n".join(map(str, self.complaints)))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns the end of a complaint about an unknown name; empty if no known name is similar."""
    near = get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""
