"""`michiq-proxy audit`: lists the audit trail, and verifies that it is whole."""

import re
from typing import Final

import click

from proxy.cli.common import read_settings
from proxy.cli.mode_tables import stacked
from proxy.cli.paper import columns, show
from proxy.cli.store_access import echo_json, with_store
from proxy.store.sealer import shown_hash
from proxy.times import rfc3339

_SHOWN: Final = 50


@click.group()
def audit() -> None:
    """Read the audit trail: mode changes, first sights of users, accesses to cases, erasures."""


@audit.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@click.pass_context
def verify(context: click.Context, *, as_json: bool) -> None:
    """Verify that every row is as it was written, and that none is missing: exit code 0, else 1.

    A database that was restored whole from an earlier state passes, too. To detect that, store `end` (--json)
    elsewhere, and look for it again later.
    """
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
    if verdict.first_bad is not None:
        context.exit(1)


@audit.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=_SHOWN, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def newest(limit: int, *, as_json: bool) -> None:
    """List the newest rows. A subject is a keyed hash; `*` means everyone."""
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
