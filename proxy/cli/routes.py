"""`michiq-proxy routes`: every legacy route and who answers it."""

import json
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from proxy.cli.common import mappings_folder, read_table


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True), required=False)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def routes(folder: Path | None, *, as_json: bool) -> None:
    """List the routes of the mapping files in FOLDER (default: `mappings`, else the built-in ones)."""
    mappings = [route.mapping for route in read_table(mappings_folder(folder)).routes.values()]
    rows = [
        {
            "route": mapping.flow,
            "method": mapping.method,
            "path": mapping.path,
            "mode": mapping.mode,
            "timeout_seconds": mapping.timeout.total_seconds(),
            "body_limit_bytes": mapping.body_limit,
        }
        for mapping in mappings
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    table = Table("route", "method", "path", "mode", "timeout s", "body bytes", box=None)
    for row in rows:
        table.add_row(*(f"{value:g}" if isinstance(value, float) else str(value) for value in row.values()))
    Console().print(table)
