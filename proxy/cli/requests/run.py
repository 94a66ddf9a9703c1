"""Reads the stored requests for `michiq-proxy requests`, and prints them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import click

from proxy.cli.common import Misuse, named_organizations, read_settings
from proxy.cli.shared.console import Grid, columns, moment, show
from proxy.cli.shared.store_access import echo_json, with_store
from proxy.contract.routes import LEGACY
from proxy.mapping.complaints import did_you_mean
from proxy.rollout.operations.organization_names import names_of
from proxy.rollout.operations.request_filters import NAMES, BadFilter, read_filters, request_json
from proxy.store import Store
from proxy.store.audit.request_traces import RequestRow
from proxy.store.sealing.sealer import shown_hash

_NOTHING: Final = "no stored request fits: widen --since, or leave an option out"
_MORE: Final = "There are more: --limit shows them."
_HINT: Final = "`michiq-proxy explain ID` says what happened to one."


@dataclass(frozen=True, slots=True)
class _Found:
    """The requests that fit, with the names of their organizations by hash, and all names that there are."""

    rows: Sequence[RequestRow]
    has_more: bool
    names: Mapping[str, str]
    known: frozenset[str]


def run(given: Mapping[str, Any], limit: int, *, as_json: bool) -> None:
    """Prints the requests that fit the filters `given`, by the options' names."""
    settings, now = read_settings(), datetime.now(UTC)
    known = named_organizations(settings)
    asked = {
        name: str(given[name] or "").lower() if name == "failed" else given[name] or "" for name in NAMES
    }

    async def look(store: Store) -> _Found:
        filters = read_filters(asked, [route.name for route in LEGACY], store, now)
        found = await store.stories.search(filters, limit=limit + 1)
        rows = found[:limit]
        names = await names_of(store, {each.organization for each in rows}, known)
        every = frozenset(known | await store.ledger.organizations())
        return _Found(rows, len(found) > limit, names, every)

    try:
        found = with_store(settings, look)
    except BadFilter as bad:
        raise Misuse(f"--{bad.name}: {bad}") from None
    if as_json:
        echo_json([request_json(each, found.names) for each in found.rows])
    elif found.rows:
        show(_table(found))
        click.echo(f"{_MORE} {_HINT}" if found.has_more else _HINT, err=True)
    else:
        click.echo(_NOTHING)
    if asked["organization"] and not found.rows:
        _note_unknown(asked["organization"], found.known)


def _note_unknown(organization: str, known: frozenset[str]) -> None:
    if organization.strip() not in known:
        meant = did_you_mean(organization, known)
        click.echo(f"no organization of this name has called{meant}", err=True)


def _table(found: _Found) -> Grid:
    # Each row has two lines, so that 80 columns are enough, and an id can be copied whole.
    heads = ("at\nid", "route\norganization", "answer\ncause", "side", "ms")
    table = columns(*heads, wraps=("route\norganization", "answer\ncause"))
    for each in found.rows:
        who = found.names.get(each.organization) or shown_hash(each.organization) or "-"
        table.add_row(
            f"{moment(each.at)}\n{each.request_id}",
            f"{each.route}\n{who}",
            f"{each.status}\n{each.cause or '-'}",
            each.side or "-",
            f"{each.milliseconds:,}",
        )
    return table
