"""`michiq-proxy init`: writes the files that an operator edits."""

from collections.abc import Mapping
from pathlib import Path

import click

from proxy.cli.common import Failure, no_collections


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def init(folder: Path) -> None:
    """Write mapping files, their schemas and a `.env` with a new key into FOLDER."""
    with no_collections():
        from proxy.cli.init.files import files
    written = dict(files())
    existing = [name for name in written if (folder / name).exists()]
    if existing:
        raise Failure(f"{folder} has {existing[0]} already; nothing was written")
    try:
        _write(folder, written)
    except OSError as error:
        raise Failure(f"{error.filename or folder} can't be written: {error.strerror}") from None
    click.echo(
        f"{folder}: edit .env and mappings/, then run in that folder: michiq-proxy check, michiq-proxy serve"
    )


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600 if name == ".env" else 0o644)
        path.write_text(text, "utf-8")
