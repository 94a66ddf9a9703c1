"""Reads a folder of mapping files into a table, or reports every error in it."""

from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from pathlib import Path
from typing import Any, Final

from proxy.errors import DOOR_KINDS
from proxy.mapping.complaints import Complaint, MappingError, did_you_mean
from proxy.mapping.digest import route_digest
from proxy.mapping.facts import check
from proxy.mapping.files import File, read_file
from proxy.mapping.models import OrganizationsFile, RouteMapping
from proxy.mapping.shape import BadExpression, Expression, compile_shape
from proxy.mapping.table import FlowSpec, Organizations, Route, Table
from proxy.modes import NEED_LEGACY

__all__ = ["MappingError", "load_table"]

ORGANIZATIONS: Final = "organizations.toml"


def load_table(folder: Path, specs: Iterable[FlowSpec], *, has_legacy: bool = True) -> Table:
    """Returns the table of a folder; raises MappingError with every complaint, each with file, line and key.

    Without a legacy server (`has_legacy` false) a mode that needs one is an error.

    A file is checked in three steps, each only after the one before found no error: the file is TOML; its
    keys and values are right; its expressions and errors fit the flow.
    """
    by_name = {f"{spec.name}.toml": spec for spec in specs}
    complaints = list(_strangers(folder, by_name))
    organizations = Organizations({}, {})
    files: dict[str, File] = {}
    routes: dict[str, Route[RouteMapping]] = {}
    try:
        organizations = _organizations(folder)
    except MappingError as error:
        complaints += error.complaints
    for name, spec in by_name.items():
        try:
            files[spec.name] = read_file(folder / name)
            routes[spec.name] = _route(files[spec.name], spec, organizations)
        except MappingError as error:
            complaints += error.complaints
    complaints += _same_path(files, routes)
    if not has_legacy:
        complaints += _legacy_missing(files, routes)
    if complaints:
        raise MappingError(complaints)
    return Table(routes, organizations)


def _strangers(folder: Path, specs: Mapping[str, FlowSpec]) -> Iterator[Complaint]:
    """Yields a complaint for each file that nothing reads: its name is probably misspelt.

    Editors' hidden files are skipped.
    """
    for path in sorted(folder.glob("[!.]*.toml")):
        if path.name != ORGANIZATIONS and path.name not in specs:
            hint = did_you_mean(path.name, [*specs, ORGANIZATIONS])
            yield Complaint(path.name, 1, "", f"no route has this name, so nothing reads this file{hint}")


def _organizations(folder: Path) -> Organizations:
    file = read_file(folder / ORGANIZATIONS)
    entries = file.model(OrganizationsFile).organizations
    keys: dict[str, str] = {}
    complaints: list[Complaint] = []
    for name, entry in entries.items():
        if entry.llamachat_api_key_file is None:
            continue
        try:
            keys[name] = _secret(folder / entry.llamachat_api_key_file)
        except ValueError as error:
            key = ("organizations", name, "llamachat_api_key_file")
            complaints.append(file.complaint(key, str(error)))
    if complaints:
        raise MappingError(complaints)
    return Organizations(entries, keys)


def _secret(path: Path) -> str:
    """Returns the key in a file. Raises ValueError, without any text of the file, if it can't be a key."""
    try:
        key = path.read_bytes().decode("ascii").strip()
    except OSError as error:
        raise ValueError(f"can't read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        key = ""
    if not key.isprintable() or not key or " " in key:
        raise ValueError(f"{path} must hold the key and nothing else, on one line")
    return key


def _route(file: File, spec: FlowSpec, organizations: Organizations) -> Route[RouteMapping]:
    mapping = file.model(spec.model)
    bad = [
        *check(mapping.answer, "answer", spec.facts),
        *(each for key in spec.expressions for each in check(_at(file.data, key), key, None)),
    ]
    complaints = [*_error_kinds(file, mapping, spec), *(_of_expression(file, each) for each in bad)]
    if complaints:
        raise MappingError(complaints)
    expressions = {key: Expression(_at(file.data, key), key) for key in spec.expressions}
    answer, digest = compile_shape(mapping.answer, "answer"), route_digest(mapping, organizations)
    return Route(mapping, answer, expressions, organizations, digest)


def _at(data: dict[str, Any], key: str) -> str:
    return str(reduce(lambda node, step: node[step], key.split("."), data))


def _of_expression(file: File, bad: BadExpression) -> Complaint:
    return file.complaint(bad.key.split("."), bad.reason)


def _error_kinds(file: File, mapping: RouteMapping, spec: FlowSpec) -> Iterator[Complaint]:
    raised = spec.errors | DOOR_KINDS
    missing = sorted(raised - mapping.errors.keys())
    for kind in missing:
        line = f'{kind} = {{ status = 500, text = "…" }}'
        yield file.complaint(("errors", kind), f"missing: this route can end in this error; add {line}")
    for kind in sorted(mapping.errors.keys() - raised):
        hint = did_you_mean(kind, missing)
        yield file.complaint(("errors", kind), f"unused: this route never ends in this error{hint}")


def _same_path(files: Mapping[str, File], routes: Mapping[str, Route[RouteMapping]]) -> Iterator[Complaint]:
    seen: dict[str, str] = {}
    for name, route in routes.items():
        # A path with an id is served without one too (CONTRACT Q02).
        paths = {route.mapping.path, route.mapping.path.removesuffix("/{id}")}
        for path in sorted(paths & seen.keys()):
            yield files[name].complaint(("path",), f"{path} is taken by {seen[path]}.toml")
        seen |= dict.fromkeys(paths, name)


def _legacy_missing(
    files: Mapping[str, File], routes: Mapping[str, Route[RouteMapping]]
) -> Iterator[Complaint]:
    for name, route in routes.items():
        if route.mapping.mode in NEED_LEGACY:
            yield files[name].complaint(("mode",), f"{route.mapping.mode} needs MICHIQ_LEGACY_URL")
