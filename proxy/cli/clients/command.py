"""`michiq-proxy clients`: lists from the ledger which clients still call which routes."""

from datetime import datetime

import click

from proxy.cli.common import no_collections
from proxy.contract.routes import LEGACY


@click.command()
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), metavar="DATE", help="From this day (UTC) on.")
@click.option("--route", type=click.Choice([route.name for route in LEGACY]), help="Only this route.")
@click.option(
    "--csv", "as_csv", is_flag=True, help="Print CSV: one row for each client, day, route and answer."
)
@click.option("--json", "as_json", is_flag=True, help="Print the same rows as JSON.")
def clients(since: datetime | None, route: str | None, *, as_csv: bool, as_json: bool) -> None:
    """List which clients still call which routes, the latest caller first.

    A client is an API key and a user (both as fingerprints), an organization and a user agent.
    """
    if as_csv and as_json:
        raise click.UsageError("--csv and --json don't go together")
    with no_collections():
        from proxy.cli.clients.run import run
    run(None if since is None else since.date(), route, as_csv=as_csv, as_json=as_json)
