"""Prints the routes, learned differences and pending calls for `michiq-proxy routes`."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from proxy.cli.common import Failure, Misuse, mappings_folder, read_settings, read_table
from proxy.cli.pending import run as pending_calls
from proxy.cli.routes import report
from proxy.cli.routes.report import Standing
from proxy.cli.shared.console import show, steps
from proxy.cli.shared.store_access import echo_json, has_store, with_store
from proxy.compare.paths import ELEMENT
from proxy.flows.registry import SPECS
from proxy.mapping.table import Table
from proxy.rollout.evidence.expected import MappedAnswer, mapped_answer
from proxy.rollout.evidence.findings import Finding
from proxy.rollout.evidence.learner import findings
from proxy.rollout.live import mappings_digest
from proxy.settings import Settings
from proxy.store import Store, StoreError
from proxy.store.rollout.evidence import LeafCount

_NOTHING_LEARNED: Final = (
    "No legacy answer was seen yet: a route is learned while its calls go to MICHIQ_LEGACY_URL."
)
_NO_STORE: Final = "MICHIQ_SECRET_KEYS is required"


def run(folder: Path | None, *, as_json: bool, learned: bool, pending: bool) -> None:
    """Prints the pending calls, or the learned differences, or the routes."""
    if pending:
        pending_calls.show_all(as_json=as_json)
    elif learned:
        _learned(read_settings(), folder, as_json=as_json)
    else:
        _list(_settings() if folder is None else None, folder, as_json=as_json)


def _learned(settings: Settings, folder: Path | None, *, as_json: bool) -> None:
    table = read_table(mappings_folder(folder or settings.mappings))
    rows = with_store(settings, lambda store: store.evidence.learned())
    _print_learned(rows, table, as_json=as_json)


def _print_learned(rows: Sequence[LeafCount], table: Table, *, as_json: bool) -> None:
    """Prints where real legacy answers differ from what we expect of them."""
    found = findings(rows, _own_answers(table))
    seen = sorted({row.route for row in rows if row.side == "legacy"})
    if as_json:
        echo_json([asdict(each) for each in found])
    elif not seen:
        click.echo(_NOTHING_LEARNED)
    else:
        show(steps(_findings_by_route(seen, found)))


def _own_answers(table: Table) -> dict[str, MappedAnswer]:
    """Returns what each mapping says about our own answers; a list's table shapes one element."""
    lists = {spec.name for spec in SPECS if spec.lists}
    return {
        name: mapped_answer(
            route.mapping.answer,
            (error.status for error in route.mapping.errors.values()),
            ELEMENT if name in lists else "",
        )
        for name, route in table.routes.items()
    }


def _findings_by_route(seen: Sequence[str], found: Sequence[Finding]) -> Iterator[tuple[str, str]]:
    """Yields the findings of each route; the route's name stands before its first one."""
    for route in seen:
        said = [each.sentence for each in found if each.route == route]
        heads = [route, *[""] * len(said)]
        yield from zip(heads, said or ["As the mapping says."], strict=False)


def _list(settings: Settings | None, given: Path | None, *, as_json: bool) -> None:
    folder = mappings_folder(given if settings is None else settings.mappings)
    table, at = read_table(folder), datetime.now(UTC)
    standing = settings and _standing(settings, folder, at)
    now = report.in_force(table, standing) if standing else {}
    if as_json:
        echo_json(report.as_json(table, now, at))
    else:
        show(report.listing(table, now, at))
    for note in (*report.brownouts(table, at), *(report.notes(standing) if standing else ())):
        click.echo(note, err=as_json)


def _settings() -> Settings | None:
    """Returns the settings; None when there is no store yet, or, with a note, when they can't be used."""
    try:
        settings = read_settings()
        return settings if has_store(settings) else None
    except (Misuse, StoreError) as error:
        if _NO_STORE not in str(error):
            _note(error)
        return None


def _standing(settings: Settings, folder: Path, at: datetime) -> Standing | None:
    """Returns the store's state; None, with a note, when the store can't be opened: the list alone helps."""
    digest = mappings_digest(folder)

    async def look(store: Store) -> Standing:
        return Standing(
            now=at,
            overrides=await store.overrides.load(),
            processes=await store.processes.live(at),
            mappings=digest,
            pending=len(await store.pending()),
        )

    try:
        return with_store(settings, look)
    except (Misuse, Failure) as error:
        _note(error)
        return None


def _note(error: Exception) -> None:
    click.echo(
        f"note: these are the mapping files' own modes; what is in force is unknown: {error}", err=True
    )
