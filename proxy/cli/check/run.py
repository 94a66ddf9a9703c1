"""Checks settings and mapping files for `michiq-proxy check`, and prints what it finds."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from proxy.addresses.s3 import SCHEME
from proxy.cli.check import online as online_checks
from proxy.cli.check.cross_checks import strangers, warnings_of
from proxy.cli.common import Misuse, mappings_folder, read_settings
from proxy.cli.shared.console import plural
from proxy.environment import PREFIX
from proxy.flows.registry import SPECS
from proxy.mapping.complaints import Complaint
from proxy.mapping.loader import MappingError, load_table
from proxy.mapping.table import Table
from proxy.server.tls import BadCertificate, Tls
from proxy.settings import Settings
from proxy.store.blobs.opening import s3_problem
from proxy.values import Json


@dataclass
class _Found:
    """The errors and warnings of a check: Complaints about files, and sentences about settings."""

    errors: list[Complaint | str] = field(default_factory=list)
    warnings: list[Complaint | str] = field(default_factory=list)


def run(folder: Path | None, *, online: bool, as_json: bool) -> bool:
    """Prints the errors and warnings; returns whether this configuration can be served."""
    found = _Found()
    settings = None if folder is not None else _settings(found)
    named = settings.mappings if settings is not None else None
    mappings = mappings_folder(folder if folder is not None else named)
    table = _table(mappings, settings, found)
    if settings is not None:
        _cross(settings, table, online=online, found=found)
    _print(found, mappings, len(table.routes) if table else 0, as_json=as_json)
    return not found.errors


def _settings(found: _Found) -> Settings | None:
    """Returns the settings; None when there are none at all, as in a checkout, or when they are wrong."""
    if not Path(".env").exists() and not any(name.startswith(PREFIX) for name in os.environ):
        return None
    try:
        return read_settings()
    except Misuse as error:
        found.errors += str(error).splitlines()
        return None


def _table(folder: Path, settings: Settings | None, found: _Found) -> Table | None:
    try:
        table = load_table(folder, SPECS, has_legacy=settings is None or settings.legacy_url is not None)
    except MappingError as error:
        found.errors += error.complaints
        return None
    found.warnings += strangers(folder, table)
    return table


def _cross(settings: Settings, table: Table | None, *, online: bool, found: _Found) -> None:
    if table is not None:
        found.warnings += warnings_of(settings, table)
    in_s3 = settings.blobs_url.startswith(SCHEME)
    if in_s3 and (problem := s3_problem(settings.blobs_url, os.environ)):
        found.errors.append(problem)
    try:
        if settings.tls_cert and settings.tls_key:
            Tls(settings.tls_cert, settings.tls_key, failed=lambda _version, _reason: None)
    except BadCertificate as error:
        found.errors.append(str(error))
    if online:
        for is_error, sentence in online_checks.problems(settings):
            sentences = found.errors if is_error else found.warnings
            if sentence not in sentences:  # a bucket's error is also the store's
                sentences.append(sentence)


def _print(found: _Found, folder: Path, routes: int, *, as_json: bool) -> None:
    if as_json:
        report: Json = {
            "ok": not found.errors,
            "complaints": _rows(found.errors),
            "warnings": _rows(found.warnings),
        }
        click.echo(json.dumps(report, ensure_ascii=False))
        return
    for word, each in [("", e) for e in found.errors] + [("warning: ", w) for w in found.warnings]:
        click.echo(f"{word}{folder}/{each}" if isinstance(each, Complaint) else f"{word}{each}", err=True)
    if found.errors:
        click.echo(", ".join(_counted(found)))
    else:
        click.echo(f"{folder}: {routes} routes, {'no errors' if found.warnings else 'all good'}")


def _counted(found: _Found) -> list[str]:
    warned = [plural(len(found.warnings), "warning")] if found.warnings else []
    return [plural(len(found.errors), "error"), *warned]


def _rows(found: Sequence[Complaint | str]) -> list[Json]:
    return [
        {"file": each.file, "line": each.line, "key": each.key, "reason": each.reason}
        if isinstance(each, Complaint)
        else {"file": None, "line": None, "key": each.split(maxsplit=1)[0].rstrip(":"), "reason": each}
        for each in found
    ]
