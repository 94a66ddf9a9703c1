"""`michiq-proxy check`: whether a folder of mapping files could be served."""

import json
from pathlib import Path

import click

from proxy.cli.common import mappings_folder
from proxy.cli.schemas import MODELS, schema_of
from proxy.mapping.loader import MappingError, load_table
from proxy.web.flows import SPECS


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True), required=False)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option(
    "--schema", type=click.Choice(sorted(MODELS)), help="Print a file's JSON Schema instead of checking."
)
@click.pass_context
def check(context: click.Context, folder: Path | None, *, as_json: bool, schema: str | None) -> None:
    """Check the mapping files in FOLDER (default: `mappings`, else the built-in ones)."""
    if schema is not None:
        click.echo(schema_of(schema))
        return
    folder = mappings_folder(folder)
    try:
        routes = len(load_table(folder, SPECS).routes)
        complaints = []
    except MappingError as error:
        complaints = list(error.complaints)
    if as_json:
        rows = [{"file": c.file, "line": c.line, "key": c.key, "reason": c.reason} for c in complaints]
        click.echo(json.dumps({"ok": not rows, "complaints": rows}, ensure_ascii=False))
    else:
        for complaint in complaints:
            click.echo(f"{folder}/{complaint}", err=True)
        click.echo(f"{len(complaints)} to mend" if complaints else f"{folder}: {routes} routes, all good")
    if complaints:
        context.exit(1)
