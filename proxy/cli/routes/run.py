"""Prints the routes, learned differences and pending calls for `michiq-proxy routes`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from proxy.cli.common import Failure, Misuse, mappings_folder, read_settings, read_table
from proxy.cli.routes import report
from proxy.cli.routes.report import Standing
from proxy.cli.routes.stored_lists import print_learned, print_pending
from proxy.cli.shared.console import show
from proxy.cli.shared.store_access import echo_json, has_store, with_store
from proxy.rollout.live import mappings_digest
from proxy.settings import Settings
from proxy.store import Store, StoreError

_NO_STORE: Final = "MICHIQ_SECRET_KEYS is required"


def run(folder: Path | None, *, as_json: bool, learned: bool, pending: bool) -> None:
    """Prints the pending calls, or the learned differences, or the routes."""
    if pending:
        calls = with_store(read_settings(), lambda store: store.pending())
        print_pending(calls, as_json=as_json)
    elif learned:
        _learned(read_settings(), folder, as_json=as_json)
    else:
        _list(_settings() if folder is None else None, folder, as_json=as_json)


def _learned(settings: Settings, folder: Path | None, *, as_json: bool) -> None:
    table = read_table(mappings_folder(folder or settings.mappings))
    rows = with_store(settings, lambda store: store.evidence.learned())
    print_learned(rows, table, as_json=as_json)


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
