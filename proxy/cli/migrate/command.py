"""`michiq-proxy migrate`: makes or upgrades the tables of the database, and gives a role its rights."""

import click

from proxy.cli.common import no_collections


@click.command()
@click.option("--serving-role", metavar="NAME", help="Give this role of PostgreSQL only the rights to serve.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def migrate(serving_role: str | None, *, as_json: bool) -> None:
    """Bring the database's tables to this release, and make them if there are none.

    Proxies with MICHIQ_MIGRATE=never need this before the first start, and before each start of a new
    release. Proxies of the release before may serve meanwhile.

    With --serving-role, run it as the role that owns the tables. The proxies then serve as NAME, which can
    add to the audit and to the history of the modes, but change nothing there.

    Exit code 0: the tables fit this release; 2: they can't be made to, or wrong usage or settings.
    """
    with no_collections():
        from proxy.cli.migrate.run import run
    run(serving_role, as_json=as_json)
