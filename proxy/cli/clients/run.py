"""Reads the ledger for `michiq-proxy clients`, and prints it."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

import click

from proxy.cli.common import read_settings
from proxy.cli.shared.console import columns, show
from proxy.cli.shared.store_access import with_store
from proxy.store.audit import call_rows
from proxy.store.audit.usage import Calls, Client
from proxy.store.sealing.sealer import shown_hash

# Each row has two lines, so that 80 columns are enough. A text that a client chooses may be broken anywhere.
_COLUMNS: Final = (
    "route",
    "organization",
    "key\nuser",
    "user agent",
    "calls",
    "first seen\nlast seen",
    "answers",
)
_BROKEN: Final = frozenset({"organization", "user agent", "answers"})


def run(since: date | None, route: str | None, *, as_csv: bool, as_json: bool) -> None:
    """Prints the calls from this day on, as a table, CSV or JSON."""
    calls = with_store(read_settings(), lambda store: store.ledger.calls(since, route))
    if as_csv:
        click.echo(call_rows.as_csv(calls), nl=False)
    elif as_json:
        click.echo(json.dumps([call_rows.row(each) for each in calls], ensure_ascii=False))
    else:
        _print(calls)


def _print(calls: Sequence[Calls]) -> None:
    if not calls:
        click.echo("no calls")
        return
    table = columns(*_COLUMNS, wraps=_BROKEN)
    for row in _table_rows(calls):
        table.add_row(*row)
    show(table)


def _table_rows(calls: Sequence[Calls]) -> Iterator[tuple[str, ...]]:
    own: defaultdict[tuple[Client, str], list[Calls]] = defaultdict(list)
    for each in calls:
        own[each.client, each.route].append(each)
    newest_first = sorted(own.items(), key=lambda item: item[1][-1].day, reverse=True)
    for (client, route), rows in newest_first:
        ids = f"{shown_hash(client.key) or '-'}\n{shown_hash(client.user) or '-'}"
        who = client.organization or "-", ids, client.agent or "-"
        total = sum(each.count for each in rows)
        yield route, *who, str(total), f"{rows[0].day}\n{rows[-1].day}", _answers(rows)


def _answers(rows: Sequence[Calls]) -> str:
    """Returns the answers by mode, side and status, most frequent first: `canary→new 200×41, new 200×2`."""
    counts: Counter[tuple[str, int]] = Counter()
    for each in rows:
        counts[_answered_by(each), each.status] += each.count
    return ", ".join(f"{who} {status}×{count}" for (who, status), count in counts.most_common())


def _answered_by(calls: Calls) -> str:
    """Returns the mode, and the side that answered if the mode does not name it."""
    return calls.mode if calls.side in ("", calls.mode) else f"{calls.mode}→{calls.side}"
