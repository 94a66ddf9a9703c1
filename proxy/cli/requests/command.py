"""`michiq-proxy requests`: lists stored requests by filters, the newest first."""

from typing import Any, Final

import click

from proxy.cli.common import no_collections
from proxy.contract.routes import LEGACY

_SHOWN: Final = 50


@click.command()
@click.option("--organization", metavar="NAME", help="Only of this organization, by its legacy name.")
@click.option("--route", type=click.Choice([route.name for route in LEGACY]), help="Only this route.")
@click.option("--failed", is_flag=True, help="Only errors (5xx), and refusals (4xx but 404 and 405).")
@click.option("--status", metavar="STATUS", help="Only this status (200), or this class (4xx).")
@click.option("--cause", metavar="CODE", help="Only with this X-Michiq-Cause.")
@click.option("--side", type=click.Choice(["legacy", "new", "none"]), help="Only answered by this side.")
@click.option("--since", metavar="TIME", help='A time (2027-01-31T18:00:00Z), or how long ago ("2 h").')
@click.option("--until", metavar="TIME", help="The same, for the end.")
@click.option("--id", "id", metavar="BEGINNING", help="Only ids that begin like this.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=_SHOWN, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def requests(limit: int, *, as_json: bool, **filters: Any) -> None:
    """List the stored requests that fit all options, the newest first.

    The newest 5,000 answers of a week are stored, and of 30 days 10,000 refusals and 10,000 errors. A
    running proxy writes them once a second. `explain ID` then says what happened to one.
    """
    with no_collections():
        from proxy.cli.requests.run import run
    run(filters, limit, as_json=as_json)
