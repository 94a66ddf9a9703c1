"""`michiq-proxy check`: finds errors in settings and mapping files, and warns of what may be a mistake."""

from pathlib import Path
from typing import Final

import click

from proxy.cli.common import Misuse, no_collections
from proxy.contract.routes import LEGACY

# Every mapping file: a route's, and organizations.toml.
_FILES: Final = sorted([*(route.name for route in LEGACY), "organizations"])


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True), required=False)
@click.option("--online", is_flag=True, help="Also check hosts, certificates and the store.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@click.option("--schema", type=click.Choice(_FILES), help="Print a file's JSON Schema instead of checking.")
@click.pass_context
def check(
    context: click.Context, folder: Path | None, *, online: bool, as_json: bool, schema: str | None
) -> None:
    """Check the settings and the mapping files, each alone and against each other.

    With FOLDER, only its mapping files are checked. Exit code 0: this configuration can be served, even with
    warnings; 1: it can't be served; 2: wrong usage.
    """
    if schema is not None:
        with no_collections():
            from proxy.cli.shared.schemas import schema_of
        click.echo(schema_of(schema))
        return
    if online and folder is not None:
        raise Misuse("--online checks what the settings name: use it without FOLDER")
    with no_collections():
        from proxy.cli.check.run import run
    if not run(folder, online=online, as_json=as_json):
        context.exit(1)
