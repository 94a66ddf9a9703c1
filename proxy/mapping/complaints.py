"""What is wrong with a folder of mapping files, told so that an operator can mend it."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that is wrong: the file's name, the line, the dotted key and the reason."""

    file: str
    line: int
    key: str
    reason: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}"
        return f"{place}: {self.key}: {self.reason}" if self.key else f"{place}: {self.reason}"


class MappingError(Exception):
    """A folder that can't be served, with every complaint found in it, by file and line."""

    def __init__(self, complaints: Iterable[Complaint]) -> None:
        self.complaints = tuple(sorted(complaints, key=lambda each: (each.file, each.line)))
        super().__init__("\n".join(map(str, self.complaints)))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a complaint about an unknown name; empty where no known one is like it."""
    near = get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""
