"""Reads one mapping file, from bytes to TOML to its model; every error has a position and a remedy."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from proxy.mapping.complaints import Complaint, MappingError, did_you_mean
from proxy.mapping.lines import line_of
from proxy.mapping.reasons import reason_of

B = TypeVar("B", bound=BaseModel)

_LINE: Final = re.compile(r" \(at line (\d+), column \d+\)$")
_BARE_WORD: Final = re.compile(r"\s*(?P<key>[^=#]+?)\s*=\s*(?P<word>[A-Za-z][\w-]*)\s*(#.*)?")
_NO_DATE: Final = re.compile(r"[^=#]+=\s*\d+-\d+-\d+\s*(#.*)?")


@dataclass(frozen=True, slots=True)
class File:
    """A mapping file as it was read, with all that a complaint about it needs."""

    name: str
    text: str
    data: dict[str, Any]

    def complaint(self, key: Sequence[str], reason: str) -> Complaint:
        return Complaint(self.name, line_of(self.text, key), ".".join(key), reason)

    def model(self, model: type[B]) -> B:
        """Returns the file's values; raises MappingError with every complaint about them."""
        try:
            return model.model_validate(self.data)
        except ValidationError as error:
            complaints = [self._of_pydantic(problem, model) for problem in error.errors()]
            raise MappingError(complaints) from None

    def _of_pydantic(self, problem: Mapping[str, Any], model: type[BaseModel]) -> Complaint:
        # Pydantic adds the tags of unions and dicts to the location; only keys of the file are shown.
        key: list[str] = []
        node: Any = self.data
        for step in problem["loc"]:
            if isinstance(node, list) and isinstance(step, int):
                node = node[step]
                continue
            if isinstance(node, dict) and step in node:
                node = node[step]
            elif problem["type"] != "missing" or step != problem["loc"][-1]:
                continue
            key.append(str(step))
        if problem["type"] == "extra_forbidden":
            return self.complaint(key, f"unknown key{did_you_mean(key[-1], _names(model))}")
        return self.complaint(key, reason_of(problem))


def read_file(path: Path) -> File:
    """Reads a TOML file in UTF-8, with or without a byte order mark; raises MappingError for others."""
    data = _bytes(path)
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise MappingError([Complaint(path.name, line, "", "not UTF-8: save the file as UTF-8")]) from None
    try:
        return File(path.name, text, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise MappingError([_not_toml(path.name, text, str(error))]) from None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        reason = "the file is missing"
    except OSError as error:
        reason = f"the file can't be read: {error.strerror}"
    raise MappingError([Complaint(path.name, 1, "", reason)])


def _not_toml(name: str, text: str, message: str) -> Complaint:
    """Returns the parser's message with the line that it means.

    An unclosed string or bracket is reported at the last line.
    """
    lines = text.rstrip("\n").split("\n")
    found = _LINE.search(message)
    number = int(found[1]) if found else len(lines)
    line = lines[min(number, len(lines)) - 1].strip()
    said = message.partition(" (at ")[0]
    return Complaint(name, number, "", f"not TOML: {said}: {line}{_remedy(line)}")


def _remedy(line: str) -> str:
    if bare := _BARE_WORD.fullmatch(line):
        word = bare["word"]
        right = word.lower() if word.lower() in ("true", "false") else f'"{word}"'
        return f"; write {bare['key']} = {right}"
    if _NO_DATE.fullmatch(line):
        return "; write a date that exists, as year-month-day: 2027-01-31"
    return ""


def _names(model: type[BaseModel]) -> list[str]:
    """Returns every key that exists anywhere in a model."""
    schema = model.model_json_schema()
    return [
        name for part in (schema, *schema.get("$defs", {}).values()) for name in part.get("properties", ())
    ]
