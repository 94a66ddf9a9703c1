"""Folders of mapping files, as an operator's editor leaves them."""

import shutil
from pathlib import Path
from typing import Final

from proxy.flows.registry import SPECS
from proxy.mapping.complaints import Complaint
from proxy.mapping.loader import MappingError, load_table
from proxy.mapping.table import Table

DEFAULTS: Final = Path(__file__).parents[2] / "mappings"


class Folder:
    """A copy of the default mappings, to be edited and loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path
        shutil.copytree(DEFAULTS, path)

    def replace(self, file: str, old: str, new: str) -> None:
        """Changes the one place where `old` stands."""
        text = self.read(file)
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
        self.write(file, text.replace(old, new))

    def append(self, file: str, text: str) -> None:
        self.write(file, self.read(file) + text)

    def read(self, file: str) -> str:
        return (self.path / file).read_text("utf-8")

    def write(self, file: str, content: str | bytes) -> None:
        (self.path / file).write_bytes(content.encode() if isinstance(content, str) else content)

    def line(self, file: str, beginning: str) -> int:
        """Returns the number of the first line that begins so."""
        lines = self.read(file).split("\n")
        return next(number for number, line in enumerate(lines, 1) if line.startswith(beginning))

    def load(self) -> Table:
        return load_table(self.path, SPECS)

    def complaints(self) -> list[Complaint]:
        """Returns the complaints about the folder; none if it can be used."""
        try:
            self.load()
        except MappingError as error:
            return list(error.complaints)
        return []
