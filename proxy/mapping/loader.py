"""Reads a folder of mapping files into a table, or says all that is wrong with it."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from proxy.errors import DOOR_KINDS
from proxy.mapping.lines import line_of
from proxy.mapping.models import OrganizationsFile, RouteMapping
from proxy.mapping.table import FlowSpec, Organizations, Route, Table
from proxy.shape import BadExpression, Expression, Shape, compile_shape, unknown_facts

ORGANIZATIONS: Final = "organizations.toml"

B = TypeVar("B", bound=BaseModel)


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
    """A folder that can't be served, with every complaint found in it."""

    def __init__(self, complaints: Sequence[Complaint]) -> None:
        super().__init__("\n".join(map(str, complaints)))
        self.complaints = tuple(complaints)


@dataclass(frozen=True, slots=True)
class _File:
    """A mapping file as it was read, with what it takes to complain about it."""

    name: str
    text: str
    data: dict[str, Any]

    def complaint(self, key: Sequence[str], reason: str) -> Complaint:
        return Complaint(self.name, line_of(self.text, key), ".".join(key), reason)

    def model(self, model: type[B]) -> B:
        try:
            return model.model_validate(self.data)
        except ValidationError as error:
            raise MappingError([self._of_pydantic(problem) for problem in error.errors()]) from None

    def _of_pydantic(self, problem: Mapping[str, Any]) -> Complaint:
        # Pydantic adds the tags of unions and dicts to the place; only what stands in the file is shown.
        key: list[str] = []
        node: Any = self.data
        for step in problem["loc"]:
            if isinstance(node, dict) and step in node:
                node = node[step]
            elif problem["type"] != "missing" or step != problem["loc"][-1]:
                continue
            key.append(str(step))
        return self.complaint(key, problem["msg"].removeprefix("Value error, "))


def load_table(folder: Path, specs: Iterable[FlowSpec]) -> Table:
    """The table of a folder; MappingError holds every complaint, each with file, line and key."""
    files = {f"{spec.name}.toml": spec for spec in specs}
    complaints = list(_strangers(folder, files))
    organizations = Organizations({}, {})
    routes: dict[str, Route[RouteMapping]] = {}
    try:
        organizations = _organizations(folder)
    except MappingError as error:
        complaints.extend(error.complaints)
    for name, spec in files.items():
        try:
            routes[spec.name] = _route(_read(folder / name), spec, organizations)
        except MappingError as error:
            complaints.extend(error.complaints)
    complaints.extend(_same_path(routes.values()))
    if complaints:
        raise MappingError(complaints)
    return Table(routes, organizations)


def _strangers(folder: Path, specs: Mapping[str, FlowSpec]) -> Iterator[Complaint]:
    for path in sorted(folder.glob("*.toml")):
        if path.name != ORGANIZATIONS and path.name not in specs:
            yield Complaint(path.name, 1, "", "no flow has this name; a mapping is named as its flow is")


def _read(path: Path) -> _File:
    try:
        text = path.read_text("utf-8")
        return _File(path.name, text, tomllib.loads(text))
    except FileNotFoundError:
        raise MappingError([Complaint(path.name, 1, "", "the file is missing")]) from None
    except (OSError, UnicodeDecodeError):
        raise MappingError([Complaint(path.name, 1, "", "the file can't be read as UTF-8 text")]) from None
    except tomllib.TOMLDecodeError as error:
        line = error.lineno if hasattr(error, "lineno") else _line_in(str(error))
        raise MappingError([Complaint(path.name, line, "", f"not TOML: {error}")]) from None


def _line_in(message: str) -> int:
    """The line that tomllib gives only inside its message, before Python 3.14."""
    words = message.replace(",", " ").split()
    return int(words[words.index("line") + 1]) if "line" in words else 1


def _organizations(folder: Path) -> Organizations:
    file = _read(folder / ORGANIZATIONS)
    known = file.model(OrganizationsFile).organizations
    keys: dict[str, str] = {}
    for name, entry in known.items():
        if entry.llamachat_api_key_file is None:
            continue
        try:
            keys[name] = (folder / entry.llamachat_api_key_file).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            key = ("organizations", name, "llamachat_api_key_file")
            raise MappingError([file.complaint(key, "the file can't be read")]) from None
    return Organizations(known, keys)


def _route(file: _File, spec: FlowSpec, organizations: Organizations) -> Route[RouteMapping]:
    mapping = file.model(spec.model)
    complaints = list(_error_kinds(file, mapping, spec))
    answer: Shape | Expression | None = None
    expressions: dict[str, Expression] = {}
    try:
        answer = _answer(file.data["answer"])
        found = [answer] if isinstance(answer, Expression) else answer.expressions()
        complaints += [_of_expression(file, bad) for bad in unknown_facts(found, spec.facts)]
        expressions = {key: Expression(_at(file.data, key), key) for key in spec.expressions}
    except BadExpression as bad:
        complaints.append(_of_expression(file, bad))
    if complaints or answer is None:
        raise MappingError(complaints)
    return Route(mapping, answer, expressions, organizations)


def _answer(tree: Any) -> Shape | Expression:
    return Expression(tree, "answer") if isinstance(tree, str) else compile_shape(tree, "answer")


def _at(data: dict[str, Any], key: str) -> str:
    return str(reduce(lambda node, step: node[step], key.split("."), data))


def _of_expression(file: _File, bad: BadExpression) -> Complaint:
    return file.complaint(bad.key.split("."), bad.reason)


def _error_kinds(file: _File, mapping: RouteMapping, spec: FlowSpec) -> Iterator[Complaint]:
    raised = spec.errors | DOOR_KINDS
    for kind in sorted(raised - mapping.errors.keys()):
        yield file.complaint(("errors", kind), "missing: this route can end in this error")
    for kind in sorted(mapping.errors.keys() - raised):
        yield file.complaint(("errors", kind), "unused: this route never ends in this error")


def _same_path(routes: Iterable[Route[RouteMapping]]) -> Iterator[Complaint]:
    seen: dict[str, str] = {}
    for route in routes:
        mapping = route.mapping
        if mapping.path in seen:
            yield Complaint(
                f"{mapping.flow}.toml", 1, "path", f"is also the path of {seen[mapping.path]}.toml"
            )
        seen[mapping.path] = mapping.flow
