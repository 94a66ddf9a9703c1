"""`michiq-proxy audit`: lists the audit trail, and verifies that it is whole."""

from typing import Final

import click

from proxy.cli.common import no_collections

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
    with no_collections():
        from proxy.cli.audit import run
    if not run.verify(as_json=as_json):
        context.exit(1)


@audit.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=_SHOWN, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def newest(limit: int, *, as_json: bool) -> None:
    """List the newest rows. A subject is a keyed hash; `*` means everyone."""
    with no_collections():
        from proxy.cli.audit import run
    run.show_newest(limit, as_json=as_json)
