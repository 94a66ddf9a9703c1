"""Reads the audit trail for `michiq-proxy audit`, and prints it."""

import re

import click

from proxy.cli.common import read_settings
from proxy.cli.mode.tables import stacked
from proxy.cli.shared.console import columns, show
from proxy.cli.shared.store_access import echo_json, with_store
from proxy.store.sealing.sealer import shown_hash
from proxy.times import rfc3339


def verify(*, as_json: bool) -> bool:
    """Prints whether the trail is whole, and returns it."""
    verdict = with_store(read_settings(), lambda store: store.audit.verify())
    if as_json:
        echo_json(
            {
                "ok": verdict.first_bad is None,
                "rows": verdict.rows,
                "chained": verdict.chained,
                "end": verdict.end,
                "first_bad": verdict.first_bad,
                "reason": verdict.reason,
            }
        )
    elif verdict.first_bad is None:
        older = verdict.rows - verdict.chained
        of_old = f" ({older} from before the chain, covered by its first row)" if older else ""
        click.echo(f"{verdict.rows} rows, all as they were written{of_old}")
    else:
        click.echo(f"{verdict.reason}; {verdict.rows} rows before that are as they were written")
    return verdict.first_bad is None


def show_newest(limit: int, *, as_json: bool) -> None:
    """Prints the newest rows."""
    rows = with_store(read_settings(), lambda store: store.audit.newest(limit))
    if as_json:
        echo_json(
            [
                {
                    "id": number,
                    "at": rfc3339(event.at),
                    "actor": event.actor,
                    "action": event.action,
                    "subject": event.subject,
                    "detail": event.detail,
                }
                for number, event in rows
            ]
        )
        return
    table = columns("id", "at", "actor", "action", "subject", "detail", wraps=("actor", "detail"))
    for number, event in rows:
        table.add_row(
            str(number),
            stacked(event.at),
            _short(event.actor),
            event.action,
            shown_hash(event.subject),
            event.detail,
        )
    show(table)


def _short(actor: str) -> str:
    """Returns the first digits of a user's keyed hash, or an operator's whole name."""
    return shown_hash(actor) if re.fullmatch("[0-9a-f]{64}", actor) else actor
