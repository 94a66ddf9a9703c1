"""`michiq-proxy erase`: removes everything that is stored about a case or a user."""

from typing import Any

import click

from proxy.cli.common import no_collections


@click.command()
@click.option("--case", metavar="ID", help="A case by its michiq_uuid, or the id of stored audio.")
@click.option("--user", metavar="MAIL", help="A user, by the mail in `user_mail`; needs --organization.")
@click.option("--organization", metavar="NAME", help="The user's organization, by its legacy name.")
@click.option("--reason", help="The reason. The audit keeps it for good: name nobody.")
@click.option("--report", metavar="FILE", type=click.File("x", lazy=False), help="Write the counts as JSON.")
@click.option("--yes", is_flag=True, help="Don't ask for confirmation.")
@click.option("--actor", help="The operator; default: the user of this machine.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs; needs --yes.")
def erase(**given: Any) -> None:
    """Remove everything stored about a case or a user, from the database, its log and the blobs.

    The command works on the store, whether or not a proxy runs. While it rewrites the database, for a moment,
    proxies can't write. The audit keeps a row with keyed hashes instead of names; the report has them, too,
    and counts. Backups and data on the new platform are not touched. Exit code 0: something was found, and
    nothing is left; 1: nothing was found, it failed, or you said no; 2: wrong usage or settings.
    """
    with no_collections():
        from proxy.cli.erase.run import run
    run(**given)
