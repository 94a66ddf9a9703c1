"""`michiq-proxy copy-store`: copies a stopped store, as for a move to PostgreSQL and S3, or back."""

import click

from proxy.cli.common import no_collections


@click.command()
@click.option("--to-database", metavar="URL", help="Copy into this database, as MICHIQ_DATABASE_URL has it.")
@click.option("--to-blobs", metavar="URL", help="Copy recordings to this store, as MICHIQ_BLOBS_URL has it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout; progress goes to stderr.")
def copy_store(to_database: str | None, to_blobs: str | None, *, as_json: bool) -> None:
    """Copy the store of the settings, while no proxy runs, to another database and another blob store.

    It copies in any direction between SQLite and PostgreSQL, and between a folder and S3. The source stays as
    it is: nobody can write to it meanwhile. Nothing is decrypted. In PostgreSQL, use the role that owns the
    tables.

    First all rows and recordings are copied; then both stores are compared whole. Until that has ended well,
    proxies refuse the target. A run that was cut short goes on where it stopped: call it again with the same
    addresses. A target that has something else in it is refused.

    The options can come from MICHIQ_TO_DATABASE_URL and MICHIQ_TO_BLOBS_URL instead. A database URL with a
    password is safest in a file: name it in MICHIQ_TO_DATABASE_URL_FILE.

    Exit code 0: the target has all, and can be served; 1: a store is in use, the target is not empty, or it
    is not the same; 2: wrong usage or settings.
    """
    with no_collections():
        from proxy.cli.copy_store.run import run
    run(to_database, to_blobs, as_json=as_json)
