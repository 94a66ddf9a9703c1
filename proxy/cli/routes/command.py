"""`michiq-proxy routes`: lists the legacy routes and who answers each, learned differences, pending calls."""

from pathlib import Path

import click

from proxy.cli.common import Misuse, no_collections


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout; notes go to stderr.")
@click.option("--learned", is_flag=True, help="Show where real legacy answers differ from ours.")
@click.option("--pending", is_flag=True, help="Show the calls whose outcome is unknown.")
def routes(folder: Path | None, *, as_json: bool, learned: bool, pending: bool) -> None:
    """List the routes of the mapping files in FOLDER (default: `mappings`, else the built-in ones).

    Without FOLDER, and when there is a store, the list also shows what is in force for everyone. `+2` means
    that two organizations have another mode. Processes that don't follow are named.
    """
    if pending and (learned or folder):
        raise Misuse("--pending goes with --json only: it reads the store")
    with no_collections():
        from proxy.cli.routes.run import run
    run(folder, as_json=as_json, learned=learned, pending=pending)
